#pragma once
#include <string>
#include <string_view>

#include "formats/checkpoint.h"

namespace fdllm {

/// Flat metadata from the text of a config.json or generation_config.json: see Metadata. Lists
/// that hold something else than only integers or only strings are flattened like objects, with
/// their indices as keys. Throws kCorruptFile where the text is no JSON object, or a flattened key
/// comes twice.
Metadata parse_hf_config(std::string_view text, const std::string& source);

}  // namespace fdllm
