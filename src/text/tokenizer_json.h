#pragma once
#include <memory>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "text/tokenizer.h"

namespace fdllm {

/// parse_tokenizer_json() from JSON that is already parsed.
std::unique_ptr<Tokenizer> make_json_tokenizer(const nlohmann::json& root, std::string_view source);

}  // namespace fdllm
