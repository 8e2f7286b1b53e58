#pragma once
#include <cstdint>

#include "formats/checkpoint.h"

namespace fdllm {

/// The base of RoPE's frequencies that a config.json names, wherever a version of transformers (or
/// a descendant of a model) writes it: at the top, in rope_parameters or rope_scaling, or there for
/// each kind of layer. `fallback` where it stands nowhere: the default of the family's own
/// configuration class. Throws kCorruptFile where two places contradict each other, and
/// kUnsupported naming the key where any of them asks for another kind of RoPE than the plain one
/// over whole heads of `head_dim`.
double read_rope_theta(const Metadata& config, double fallback, std::int64_t head_dim);

}  // namespace fdllm
