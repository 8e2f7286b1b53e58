#include "text/tokenizer_class.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/check.h"
#include "base/quote.h"
#include "text/json_fields.h"
#include "text/split_patterns.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kEndOfText = "<|endoftext|>";
constexpr std::array kQwen2Defaults = {DefaultToken{"unk_token", kEndOfText},
                                       DefaultToken{"eos_token", kEndOfText},
                                       DefaultToken{"pad_token", kEndOfText}};
constexpr std::array kGpt2Defaults = {DefaultToken{"unk_token", kEndOfText},
                                      DefaultToken{"bos_token", kEndOfText},
                                      DefaultToken{"eos_token", kEndOfText}};

constexpr std::array kClasses = {
    TokenizerClass{"Qwen2Tokenizer", split_patterns::kQwen2, true, kQwen2Defaults},
    // Dream's own class, with which its folders come, is Qwen2's with other names.
    TokenizerClass{"DreamTokenizer", split_patterns::kQwen2, true, kQwen2Defaults},
    TokenizerClass{"GPT2Tokenizer", {}, false, kGpt2Defaults},
};

struct ModelType {
  std::string_view model_type;  ///< in lower case
  std::string_view tokenizer_class;
};
constexpr std::array kModelTypes = {ModelType{"dream", "DreamTokenizer"},
                                    ModelType{"qwen2", "Qwen2Tokenizer"},
                                    ModelType{"gpt2", "GPT2Tokenizer"}};

const TokenizerClass* known_class(std::string_view name) {
  // "repository--module.Class", as auto_map writes it.
  const std::size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) name.remove_prefix(dot + 1);
  if (name.ends_with("Fast")) name.remove_suffix(4);
  const auto found = std::find_if(kClasses.begin(), kClasses.end(),
                                  [&](const auto& known) { return known.name == name; });
  return found == kClasses.end() ? nullptr : &*found;
}

std::string text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// `auto_map`'s tokenizer: a name, or a list of the slow and the fast one's, of which one is null.
std::string auto_map_class(const Json& tokenizer_config) {
  const Json& map = JsonFields::optional_member(tokenizer_config, "auto_map");
  if (!map.is_object()) return {};
  const Json& entry = JsonFields::optional_member(map, "AutoTokenizer");
  if (entry.is_string()) return entry.get<std::string>();
  if (entry.is_array()) {
    for (const Json& name : entry) {
      if (name.is_string()) return name.get<std::string>();
    }
  }
  return {};
}

std::string class_of_model_type(const Json& config) {
  std::string type = text_member(config, "model_type");
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::find_if(kModelTypes.begin(), kModelTypes.end(),
                                  [&](const ModelType& known) { return known.model_type == type; });
  return found == kModelTypes.end() ? std::string() : std::string(found->tokenizer_class);
}

}  // namespace

const TokenizerClass& find_tokenizer_class(const Json& tokenizer_config, const Json& config) {
  std::string first;
  for (const std::string& name :
       {text_member(tokenizer_config, "tokenizer_class"), auto_map_class(tokenizer_config),
        text_member(config, "tokenizer_class"), class_of_model_type(config)}) {
    if (const TokenizerClass* known = known_class(name)) return *known;
    if (first.empty()) first = name;
  }
  fail(ErrorCode::kUnsupported,
       "tokenizer_config.json: 'tokenizer_class': expected Qwen2Tokenizer, DreamTokenizer or "
       "GPT2Tokenizer in a folder with vocab.json and no tokenizer.json, found {}; write a "
       "tokenizer.json with AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
       first.empty() ? "none" : quote(first));
}

}  // namespace fdllm
