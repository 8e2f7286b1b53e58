#include "text/tokenizer_gguf.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/quote.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/json_fields.h"
#include "text/post_processor.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

/// Texts that llama.cpp takes for special tokens whatever their type is.
constexpr std::array<std::string_view, 31> kAlwaysControl = {"<|eot_id|>",
                                                             "<|im_end|>",
                                                             "<|end|>",
                                                             "<|return|>",
                                                             "<|call|>",
                                                             "<|flush|>",
                                                             "<|calls|>",
                                                             "<end_of_turn>",
                                                             "<|endoftext|>",
                                                             "</s>",
                                                             "<|eom_id|>",
                                                             "<EOT>",
                                                             "_<EOT>",
                                                             "[EOT]",
                                                             "[EOS]",
                                                             "<|end_of_text|>",
                                                             "<end_of_utterance>",
                                                             "<eos>",
                                                             "<turn|>",
                                                             "<|tool_response>",
                                                             "<|fim_prefix|>",
                                                             "<|fim_suffix|>",
                                                             "<|fim_middle|>",
                                                             "<|fim_pad|>",
                                                             "<|repo_name|>",
                                                             "<|file_sep|>",
                                                             "<|fim_repo|>",
                                                             "<|code_prefix|>",
                                                             "<|code_suffix|>",
                                                             "<|code_middle|>",
                                                             "[e~["};

/// The merges of which each pair comes once, and what they make.
struct Merges {
  Json list = Json::array();
  std::unordered_set<std::string> results;
};

Merges first_merges(const std::vector<std::string>& lines) {
  Merges merges;
  std::unordered_set<std::string_view> seen;
  for (const std::string& line : lines) {
    if (!seen.insert(line).second) continue;
    merges.list.push_back(line);
    std::string result = line;
    std::erase(result, ' ');
    merges.results.insert(std::move(result));
  }
  return merges;
}

/// Reads a vocabulary's tokens into the parts of a tokenizer.json.
class TokenSorter {
 public:
  TokenSorter(const GgufVocabulary& vocabulary, const Merges& merges, std::string_view source)
      : vocabulary_(vocabulary), merges_(merges), source_(source) {}

  void sort() {
    for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) add(id);
  }
  Json take_vocab() { return std::move(vocab_); }
  Json take_added() { return std::move(added_); }

 private:
  GgufTokenType type(std::size_t id) const {
    const std::string& token = vocabulary_.tokens[id];
    if (token.empty()) return GgufTokenType::kUnused;
    if (std::find(kAlwaysControl.begin(), kAlwaysControl.end(), token) != kAlwaysControl.end()) {
      return GgufTokenType::kControl;
    }
    if (vocabulary_.types.empty()) return GgufTokenType::kNormal;
    const std::int64_t found = vocabulary_.types[id];
    if (found < 0 || found > 6) {
      fail(ErrorCode::kCorruptFile,
           "{}: 'tokenizer.ggml.token_type': expected a type from 0 to 6, found {} for token {}",
           source_, found, id);
    }
    return static_cast<GgufTokenType>(found);
  }

  void add(std::size_t id) {
    const std::string& token = vocabulary_.tokens[id];
    const GgufTokenType kind = type(id);
    switch (kind) {
      case GgufTokenType::kUndefined:
      case GgufTokenType::kNormal:
      case GgufTokenType::kByte:
        add_word(id, token);
        break;
      case GgufTokenType::kUnknown:
      case GgufTokenType::kControl:
      case GgufTokenType::kUserDefined:
        added_.push_back({{"id", id},
                          {"content", token},
                          {"special", kind != GgufTokenType::kUserDefined},
                          {"normalized", false}});
        [[fallthrough]];
      case GgufTokenType::kUnused:
        // A token of any kind can be what merges make.
        if (merges_.results.contains(token)) add_word(id, token);
        break;
    }
  }

  void add_word(std::size_t id, const std::string& token) {
    if (!vocab_.emplace(token, id).second) {
      fail(ErrorCode::kCorruptFile, "{}: 'tokenizer.ggml.tokens': {} comes twice, as {} and {}",
           source_, quote(token), vocab_[token].dump(), id);
    }
  }

  const GgufVocabulary& vocabulary_;
  const Merges& merges_;
  std::string_view source_;
  Json vocab_ = Json::object();
  Json added_ = Json::array();
};

SurroundingTokens surrounding_of(const GgufVocabulary& vocabulary, bool add_bos,
                                 std::string_view source) {
  SurroundingTokens surrounding;
  const auto add = [&](std::optional<std::int64_t> id, const char* key,
                       std::vector<std::int32_t>& ids) {
    if (!id) return;
    if (*id < 0 || *id >= std::ssize(vocabulary.tokens)) {
      fail(ErrorCode::kCorruptFile,
           "{}: 'tokenizer.ggml.{}': expected a token from 0 to {}, found {}", source, key,
           std::ssize(vocabulary.tokens) - 1, *id);
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  };
  if (add_bos) add(vocabulary.bos, "bos_token_id", surrounding.before);
  if (vocabulary.add_eos.value_or(false)) add(vocabulary.eos, "eos_token_id", surrounding.after);
  return surrounding;
}

/// What the file says in llama.cpp's own keys.
Json root_of(const GgufVocabulary& vocabulary, Json added, std::string_view source) {
  const GgufPreTokenizer& known = find_gguf_pre_tokenizer(vocabulary.pre_tokenizer, source);
  Json root = {{"model", {{"type", "BPE"}, {"ignore_merges", known.ignore_merges}}},
               {"pre_tokenizer", pre_tokenizer_json(known)},
               {"decoder", {{"type", "ByteLevel"}}},
               {"added_tokens", std::move(added)}};
  if (vocabulary.nfc) root["normalizer"] = {{"type", "NFC"}};
  const SurroundingTokens surrounding =
      surrounding_of(vocabulary, vocabulary.add_bos.value_or(known.add_bos), source);
  root["post_processor"] = template_processing(surrounding);
  return root;
}

}  // namespace

TokenizerDocument make_gguf_document(const GgufVocabulary& vocabulary, std::string_view source) {
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
  Merges merges = first_merges(vocabulary.merges);
  TokenSorter tokens(vocabulary, merges, source);
  tokens.sort();
  TokenizerDocument document;
  document.source = source;
  if (vocabulary.own.empty()) {
    document.root = root_of(vocabulary, tokens.take_added(), source);
  } else {
    document.source += ": 'tokenizer.fastdllm.tokenizer'";
    document.root = parse_json(vocabulary.own, document.source);
    if (!document.root.is_object() ||
        !JsonFields::optional_member(document.root, "model").is_object()) {
      fail(ErrorCode::kCorruptFile, "{}: expected an object with an object 'model'",
           document.source);
    }
  }
  document.root["model"]["vocab"] = tokens.take_vocab();
  document.root["model"]["merges"] = std::move(merges.list);
  return document;
}

std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary,
                                               std::string_view source) {
  return make_tokenizer(make_gguf_document(vocabulary, source));
}

}  // namespace fdllm
