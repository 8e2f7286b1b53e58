#pragma once
#include <string>
#include <string_view>

#include "formats/checkpoint.h"

namespace fdllm {

/// Flat metadata from the text of a config.json, generation_config.json or tokenizer_config.json,
/// as Python's json.load reads it: see Metadata. Lists that hold something else than only integers
/// or only strings are flattened like objects, with their indices as keys; a dot in a name becomes
/// "\.". Throws kCorruptFile where the text is no JSON object.
Metadata parse_hf_config(std::string_view text, const std::string& source);

}  // namespace fdllm
