#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "text/tokenizer_class.h"
#include "text/tokenizer_json.h"

namespace fdllm {

/// The text of a special token ("bos_token") in tokenizer_config.json or special_tokens_map.json: a
/// string, or an object with 'content'; nullopt where it is absent, null or empty.
std::optional<std::string> special_token_text(const nlohmann::json& config, const char* name,
                                              std::string_view source);

/// Fills in `added_tokens` of a document that has a vocabulary, from the files of `folder`, with
/// transformers' precedence: tokenizer_config.json's `added_tokens_decoder`; only where that is
/// absent added_tokens.json, and special_tokens_map.json, whose tokens replace those of
/// tokenizer_config.json. Special tokens that have no id yet get the next ones. Returns
/// tokenizer_config.json with the special tokens that are in force.
nlohmann::json read_folder_added_tokens(const std::filesystem::path& folder,
                                        nlohmann::json tokenizer_config,
                                        const TokenizerClass& tokenizer_class,
                                        TokenizerDocument& document);

}  // namespace fdllm
