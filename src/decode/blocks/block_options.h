#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "fastdllm/options.h"

#include "decode/settings.h"

namespace fdllm {

/// The options of models whose rows attend whole blocks.
std::vector<GenerateOption> block_options();

/// Names of the options that a form need not offer: those that only the other kind of model takes,
/// and those that choose nothing here.
std::vector<std::string> options_of_others(const DecodeTraits& traits);

/// Throws kInvalidArgument naming an option that only the other kind of model takes: of canvases
/// where `traits` are of a model that attends whole blocks, else of blocks.
void refuse_options_of_others(const GenerateOptions& options, const DecodeTraits& traits,
                              CanvasKind kind);

/// Fills in block_length and what else is of blocks, for a prompt of so many tokens. Throws
/// kInvalidArgument for lengths that contradict each other.
void resolve_blocks(const GenerateOptions& options, const DecodeTraits& traits,
                    std::int32_t prompt_length, DecodeSettings& settings);

}  // namespace fdllm
