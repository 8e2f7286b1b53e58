#include "text/gguf_pre_tokenizers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/json_fields.h"
#include "text/split_patterns.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

// Patterns as the tokenizer.json files have them that llama.cpp's names stand for.
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr std::string_view kNumbers = R"(\p{N}+)";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kOneNumber = R"(\p{N})";
/// As the last step it is ByteLevel's own.
constexpr std::string_view kGpt2 = split_patterns::kGpt2;

constexpr std::array<std::string_view, 9> kQwen2Names = {
    "qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan",   "megrez",
    "kormo", "f2llmv2",          "grok-2",    "solar-open"};
constexpr std::array<std::string_view, 1> kQwen35Names = {"qwen35"};
constexpr std::array<std::string_view, 9> kLlama3Names = {"llama-bpe", "llama3",    "llama-v3",
                                                          "falcon3",   "falcon-h1", "pixtral",
                                                          "midm-2.0",  "lfm2",      "jina-v5-nano"};
// The same pattern, but words of the vocabulary are merged like any.
constexpr std::array<std::string_view, 3> kSmaugNames = {"smaug-bpe", "dbrx", "chatglm-bpe"};
constexpr std::array<std::string_view, 3> kBailingNames = {"llada-moe", "bailingmoe",
                                                           "bailingmoe2"};
constexpr std::array<std::string_view, 16> kGpt2Names = {
    "gpt-2",       "olmo",       "mpt",      "phi-2",          "jina-es", "jina-de",
    "jina-v2-es",  "jina-v2-de", "gigachat", "a.x-4.0",        "mellum",  "exaone4",
    "modern-bert", "jais",       "trillion", "granite-docling"};
constexpr std::array<std::string_view, 8> kStarcoderNames = {
    "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"};
constexpr std::array<std::string_view, 1> kDefaultNames = {"default"};

constexpr std::array kQwen2Steps = {split_patterns::kQwen2};
constexpr std::array kQwen35Steps = {kQwen35};
constexpr std::array kLlama3Steps = {kLlama3};
constexpr std::array kBailingSteps = {kBailing};
constexpr std::array kGpt2Steps = {kGpt2};
constexpr std::array kStarcoderSteps = {kOneNumber, kGpt2};
constexpr std::array kDefaultSteps = {kPunctuation, kGpt2, kNumbers, kThreeDigits};

constexpr std::array kPreTokenizers = {
    GgufPreTokenizer{kQwen2Names, kQwen2Steps},
    GgufPreTokenizer{kLlama3Names, kLlama3Steps, true, true},
    GgufPreTokenizer{kSmaugNames, kLlama3Steps},
    GgufPreTokenizer{kBailingNames, kBailingSteps},
    GgufPreTokenizer{kGpt2Names, kGpt2Steps},
    GgufPreTokenizer{kStarcoderNames, kStarcoderSteps},
    GgufPreTokenizer{kQwen35Names, kQwen35Steps},
    GgufPreTokenizer{kDefaultNames, kDefaultSteps},
};

bool flag(const Json& object, const char* name, bool absent) {
  const Json& value = JsonFields::optional_member(object, name);
  return value.is_null() ? absent : value.get<bool>();
}

/// The patterns of a tokenizer.json's pre-tokenizer; nullopt where they are not all there is to it.
std::optional<std::vector<std::string>> patterns_of(const Json& node) {
  std::vector<std::string> patterns;
  const Json steps =
      node.value("type", "") == "Sequence" ? node["pretokenizers"] : Json::array({node});
  for (const Json& step : steps) {
    const std::string type = step.value("type", "");
    if (type == "ByteLevel") {
      if (flag(step, "add_prefix_space", true)) return std::nullopt;
      if (flag(step, "use_regex", true)) patterns.emplace_back(kGpt2);
    } else if (type == "Digits" && flag(step, "individual_digits", false)) {
      patterns.emplace_back(kOneNumber);
    } else if (type == "Split" && step["pattern"].contains("Regex")) {
      // Removing what an inverted pattern doesn't match, and isolating matches, are the same where
      // a pattern matches everything, as these do.
      const std::string behavior = step.value("behavior", "");
      const bool inverted = flag(step, "invert", false);
      if (behavior != (inverted ? "Removed" : "Isolated")) return std::nullopt;
      patterns.push_back(step["pattern"]["Regex"]);
    } else {
      return std::nullopt;
    }
  }
  return patterns;
}

}  // namespace

std::span<const GgufPreTokenizer> gguf_pre_tokenizers() {
  return kPreTokenizers;
}

std::string known_gguf_pre_tokenizers() {
  std::string list;
  for (const GgufPreTokenizer& known : kPreTokenizers) {
    for (const std::string_view name : known.names) {
      list += list.empty() ? "" : ", ";
      list += name;
    }
  }
  return list;
}

const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name, std::string_view source) {
  for (const GgufPreTokenizer& known : kPreTokenizers) {
    if (std::find(known.names.begin(), known.names.end(), name) != known.names.end()) return known;
  }
  fail(ErrorCode::kUnsupported,
       "{}: 'tokenizer.ggml.pre': expected a pre-tokenizer that this engine knows ({}), found {}",
       source, known_gguf_pre_tokenizers(), quote(name));
}

Json pre_tokenizer_json(const GgufPreTokenizer& pre_tokenizer) {
  const std::span<const std::string_view> patterns = pre_tokenizer.patterns;
  const bool ends_with_gpt2 = patterns.back() == kGpt2;
  Json steps = Json::array();
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (i + 1 == patterns.size() && ends_with_gpt2) break;
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", patterns[i]}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", ends_with_gpt2}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

const GgufPreTokenizer* name_pre_tokenizer(const Json& tokenizer_json) {
  const auto node = tokenizer_json.find("pre_tokenizer");
  if (node == tokenizer_json.end()) return nullptr;
  const auto patterns = patterns_of(*node);
  const bool ignore_merges = flag(tokenizer_json.at("model"), "ignore_merges", false);
  for (const GgufPreTokenizer& known : kPreTokenizers) {
    if (patterns && known.ignore_merges == ignore_merges &&
        std::equal(patterns->begin(), patterns->end(), known.patterns.begin(),
                   known.patterns.end())) {
      return &known;
    }
  }
  return nullptr;
}

}  // namespace fdllm
