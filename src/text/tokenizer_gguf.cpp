#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "base/quote.h"
#include "text/bpe.h"
#include "text/split_patterns.h"
#include "text/tokenizer_json.h"

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
/// Stands for the last step's own pattern, GPT-2's.
constexpr std::string_view kGpt2;

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kQwen2Names = {"qwen2", "deepseek-r1-qwen", "stablelm2",
                                                         "hunyuan", "megrez"};
constexpr std::array<std::string_view, 1> kQwen35Names = {"qwen35"};
constexpr std::array<std::string_view, 5> kLlama3Names = {"llama-bpe", "llama3", "llama-v3",
                                                          "smaug-bpe", "dbrx"};
constexpr std::array<std::string_view, 3> kBailingNames = {"llada-moe", "bailingmoe",
                                                           "bailingmoe2"};
constexpr std::array<std::string_view, 3> kGpt2Names = {"gpt-2", "olmo", "mpt"};
constexpr std::array<std::string_view, 4> kStarcoderNames = {"starcoder", "refact", "command-r",
                                                             "smollm"};
constexpr std::array<std::string_view, 1> kDefaultNames = {"default"};

constexpr std::array kQwen2Steps = {split_patterns::kQwen2};
constexpr std::array kQwen35Steps = {kQwen35};
constexpr std::array kLlama3Steps = {kLlama3};
constexpr std::array kBailingSteps = {kBailing};
constexpr std::array kGpt2Steps = {kGpt2};
constexpr std::array kStarcoderSteps = {kOneNumber, kGpt2};
constexpr std::array kDefaultSteps = {kPunctuation, kNumbers, kThreeDigits, kGpt2};

/// A way to cut up text: patterns that are applied one after the other, each to the pieces that the
/// last one made.
struct NamedPreTokenizer {
  Names names;  ///< the first is written
  Names patterns;
  bool ignore_merges = false;  ///< pieces that are tokens are not merged
};

constexpr std::array kPreTokenizers = {
    NamedPreTokenizer{kQwen2Names, kQwen2Steps},
    NamedPreTokenizer{kLlama3Names, kLlama3Steps, true},
    NamedPreTokenizer{kBailingNames, kBailingSteps},
    NamedPreTokenizer{kGpt2Names, kGpt2Steps},
    NamedPreTokenizer{kStarcoderNames, kStarcoderSteps},
    NamedPreTokenizer{kQwen35Names, kQwen35Steps},
    NamedPreTokenizer{kDefaultNames, kDefaultSteps},
};

std::string known_names() {
  std::string list;
  for (const std::string_view name : pre_tokenizer_names()) {
    list += list.empty() ? "" : ", ";
    list += name;
  }
  return list;
}

const NamedPreTokenizer& find_pre_tokenizer(std::string_view name, std::string_view source) {
  for (const NamedPreTokenizer& known : kPreTokenizers) {
    if (std::find(known.names.begin(), known.names.end(), name) != known.names.end()) return known;
  }
  fail(ErrorCode::kUnsupported,
       "{}: 'tokenizer.ggml.pre': expected a pre-tokenizer that this engine knows ({}), found {}",
       source, known_names(), quote(name));
}

Json split_step(std::string_view pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

Json pre_tokenizer_json(Names patterns) {
  Json steps = Json::array();
  for (const std::string_view pattern : patterns) {
    if (pattern != kGpt2) steps.push_back(split_step(pattern));
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"use_regex", patterns.back() == kGpt2}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

// What follows reads JSON that make_json_tokenizer() has accepted.

bool flag(const Json& object, const char* name, bool absent) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? absent : found->get<bool>();
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

std::string_view name_of_pre_tokenizer(const Json& root, std::string_view source) {
  const auto node = root.find("pre_tokenizer");
  const auto patterns = node == root.end() ? std::nullopt : patterns_of(*node);
  const bool ignore_merges = flag(root["model"], "ignore_merges", false);
  for (const NamedPreTokenizer& known : kPreTokenizers) {
    if (patterns && known.ignore_merges == ignore_merges &&
        std::equal(patterns->begin(), patterns->end(), known.patterns.begin(),
                   known.patterns.end())) {
      return known.names.front();
    }
  }
  fail(ErrorCode::kUnsupported,
       "{}: 'pre_tokenizer': expected one for which GGUF has a name ({}), found another; give the "
       "name of the nearest (--pre-tokenizer)",
       source, known_names());
}

/// Reads a vocabulary's tokens into the parts of a tokenizer.json.
class TokenSorter {
 public:
  TokenSorter(const GgufVocabulary& vocabulary, std::string_view source)
      : vocabulary_(vocabulary), source_(source) {}

  void sort() {
    for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) add(id);
  }
  Json take_vocab() { return std::move(vocab_); }
  Json take_added() { return std::move(added_); }

 private:
  GgufTokenType type(std::size_t id) const {
    if (vocabulary_.types.empty()) return GgufTokenType::kNormal;
    const std::int64_t found = vocabulary_.types[id];
    if (found < 1 || found > 6) {
      fail(ErrorCode::kCorruptFile,
           "{}: 'tokenizer.ggml.token_type': expected a type from 1 to 6, found {} for token {}",
           source_, found, id);
    }
    return static_cast<GgufTokenType>(found);
  }

  void add(std::size_t id) {
    const std::string& token = vocabulary_.tokens[id];
    switch (type(id)) {
      case GgufTokenType::kNormal:
      case GgufTokenType::kByte:
        if (!vocab_.emplace(token, id).second) {
          fail(ErrorCode::kCorruptFile, "{}: 'tokenizer.ggml.tokens': {} comes twice, as {} and {}",
               source_, quote(token), vocab_[token].dump(), id);
        }
        break;
      case GgufTokenType::kUnknown:
      case GgufTokenType::kControl:
        add_text(id, token, true);
        break;
      case GgufTokenType::kUserDefined:
        add_text(id, token, false);
        break;
      case GgufTokenType::kUnused:
        break;
    }
  }

  void add_text(std::size_t id, const std::string& content, bool special) {
    added_.push_back(
        {{"id", id}, {"content", content}, {"special", special}, {"normalized", false}});
  }

  const GgufVocabulary& vocabulary_;
  std::string_view source_;
  Json vocab_ = Json::object();
  Json added_ = Json::array();
};

void fill_tokens(const Json& root, std::vector<std::string>& tokens,
                 std::vector<std::int64_t>& types) {
  const auto set = [&](std::size_t id, const std::string& text, GgufTokenType type) {
    if (id >= tokens.size()) return;
    tokens[id] = text;
    types[id] = static_cast<std::int64_t>(type);
  };
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    set(id, fmt::format("[PAD{}]", id), GgufTokenType::kUnused);
  }
  for (const auto& [text, id] : root["model"]["vocab"].items()) {
    set(id.get<std::size_t>(), text, GgufTokenType::kNormal);
  }
  for (const Json& token : root.value("added_tokens", Json::array())) {
    set(token["id"].get<std::size_t>(), token["content"],
        flag(token, "special", false) ? GgufTokenType::kControl : GgufTokenType::kUserDefined);
  }
}

bool has_nfc(const Json& root) {
  // Whether it is all that the normalizer does was checked when the tokenizer was made.
  const auto node = root.find("normalizer");
  return node != root.end() && node->is_object() &&
         node->dump().find("\"NFC\"") != std::string::npos;
}

}  // namespace

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const NamedPreTokenizer& known : kPreTokenizers) {
    names.insert(names.end(), known.names.begin(), known.names.end());
  }
  return names;
}

std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary,
                                               std::string_view source) {
  if (vocabulary.model != "gpt2") {
    fail(ErrorCode::kUnsupported,
         "{}: 'tokenizer.ggml.model': expected 'gpt2' (byte-level BPE), found {}", source,
         quote(vocabulary.model));
  }
  if (!vocabulary.types.empty() && vocabulary.types.size() != vocabulary.tokens.size()) {
    fail(ErrorCode::kCorruptFile,
         "{}: 'tokenizer.ggml.token_type': expected {} types, as there are tokens, found {}",
         source, vocabulary.tokens.size(), vocabulary.types.size());
  }
  const NamedPreTokenizer& known = find_pre_tokenizer(vocabulary.pre_tokenizer, source);
  TokenSorter tokens(vocabulary, source);
  tokens.sort();
  TokenizerDocument document;
  document.source = source;
  Json& root = document.root;
  root = {
      {"model",
       {{"type", "BPE"}, {"ignore_merges", known.ignore_merges}, {"merges", vocabulary.merges}}},
      {"pre_tokenizer", pre_tokenizer_json(known.patterns)},
      {"decoder", {{"type", "ByteLevel"}}},
  };
  root["model"]["vocab"] = tokens.take_vocab();
  root["added_tokens"] = tokens.take_added();
  if (vocabulary.nfc) root["normalizer"] = {{"type", "NFC"}};
  return make_tokenizer(document);
}

GgufVocabulary read_gguf_vocabulary(const TokenizerDocument& document, std::int64_t size,
                                    std::string_view pre_tokenizer) {
  const Json& root = document.root;
  const std::string& source = document.source;
  const auto tokenizer = make_tokenizer(document);
  if (size < tokenizer->vocab_size() || size > Bpe::kMaxIds) {
    fail(ErrorCode::kCorruptFile,
         "{}: its largest token id is {}, but the model's vocabulary has {} tokens; does this "
         "tokenizer belong to this checkpoint?",
         source, tokenizer->vocab_size() - 1, size);
  }
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre_tokenizer =
      pre_tokenizer.empty() ? name_of_pre_tokenizer(root, source) : pre_tokenizer;
  vocabulary.nfc = has_nfc(root);
  vocabulary.tokens.resize(static_cast<std::size_t>(size));
  vocabulary.types.resize(static_cast<std::size_t>(size));
  fill_tokens(root, vocabulary.tokens, vocabulary.types);
  for (const Json& merge : root.at("model").at("merges")) {
    std::string line = merge.is_string()
                           ? merge.get<std::string>()
                           : merge[0].get<std::string>() + ' ' + merge[1].get<std::string>();
    if (!line.starts_with("#version")) vocabulary.merges.push_back(std::move(line));
  }
  make_gguf_tokenizer(vocabulary, source);
  return vocabulary;
}

}  // namespace fdllm
