#include "engine/open_text.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "engine/gguf_keys.h"

namespace fdllm {
namespace {

/// The text of the token whose id is at `key`; empty where there is none.
std::string token_text(const Metadata& metadata, std::string_view key,
                       const std::vector<std::string>& tokens) {
  const auto id = metadata.integer(key);
  if (!id) return {};
  if (*id < 0 || *id >= std::ssize(tokens)) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected a token from 0 to {}, found {}",
         metadata.source(), key, std::ssize(tokens) - 1, *id);
  }
  return tokens[static_cast<std::size_t>(*id)];
}

/// tokenizer.chat_template and those that tokenizer.chat_templates names, each with the key
/// tokenizer.chat_template.NAME.
ChatTemplates gguf_chat_templates(const Metadata& metadata,
                                  const std::vector<std::string>& tokens) {
  constexpr std::size_t kMaxTemplates = 100;
  ChatTemplates templates;
  templates.origin = metadata.source();
  const auto add = [&](const std::string& name, const std::string& key) {
    if (auto source = metadata.text(key)) {
      templates.all.push_back(
          {name, fmt::format("{}: '{}'", metadata.source(), key), *std::move(source)});
    }
  };
  add("default", gguf_keys::kChatTemplate);
  const auto names = metadata.texts(gguf_keys::kChatTemplateNames);
  for (const std::string& name : names.value_or(std::vector<std::string>{})) {
    if (templates.all.size() == kMaxTemplates) break;
    if (name != "default") add(name, std::string(gguf_keys::kChatTemplate) + "." + name);
  }
  constexpr std::pair<const char*, const char*> kTokens[] = {
      {"bos_token", gguf_keys::kBos},     {"eos_token", gguf_keys::kEos},
      {"unk_token", gguf_keys::kUnknown}, {"sep_token", gguf_keys::kSeparator},
      {"pad_token", gguf_keys::kPadding}, {"cls_token", gguf_keys::kClass},
      {"mask_token", gguf_keys::kMask}};
  for (const auto& [name, key] : kTokens) {
    std::string text = token_text(metadata, key, tokens);
    if (!text.empty()) templates.tokens.emplace_back(name, std::move(text));
  }
  return templates;
}

ModelText open_gguf_text(const Checkpoint& checkpoint) {
  const Metadata& metadata = checkpoint.config();
  const GgufVocabulary vocabulary = read_gguf_vocabulary(metadata);
  ModelText text;
  text.source = checkpoint.path().string();
  text.tokenizer = make_gguf_tokenizer(vocabulary, metadata.source());
  text.chat_templates = gguf_chat_templates(metadata, vocabulary.tokens);
  return text;
}

}  // namespace

GgufVocabulary read_gguf_vocabulary(const Metadata& metadata) {
  using Texts = std::vector<std::string>;
  GgufVocabulary vocabulary;
  vocabulary.model = metadata.required_text(gguf_keys::kTokenizerModel);
  vocabulary.pre_tokenizer = metadata.text(gguf_keys::kPreTokenizer).value_or("default");
  vocabulary.tokens = metadata.texts(gguf_keys::kTokens).value_or(Texts{});
  vocabulary.merges = metadata.texts(gguf_keys::kMerges).value_or(Texts{});
  vocabulary.types =
      metadata.integers(gguf_keys::kTokenTypes).value_or(std::vector<std::int64_t>{});
  const std::string normalizer = metadata.text(gguf_keys::kNormalizer).value_or("");
  if (!normalizer.empty() && normalizer != "NFC") {
    fail(ErrorCode::kUnsupported, "{}: '{}': expected 'NFC', found another", metadata.source(),
         gguf_keys::kNormalizer);
  }
  vocabulary.nfc = !normalizer.empty();
  vocabulary.bos = metadata.integer(gguf_keys::kBos);
  vocabulary.eos = metadata.integer(gguf_keys::kEos);
  vocabulary.add_bos = metadata.boolean(gguf_keys::kAddBos);
  vocabulary.add_eos = metadata.boolean(gguf_keys::kAddEos);
  vocabulary.own = metadata.text(gguf_keys::kOwnTokenizer).value_or("");
  return vocabulary;
}

ModelText open_text(const Checkpoint& checkpoint) {
  if (checkpoint.format() == "gguf") return open_gguf_text(checkpoint);
  const std::filesystem::path& folder = checkpoint.path();
  return {folder.string(), read_folder_tokenizer(folder), read_chat_templates(folder)};
}

void find_mask_token(const Family& family, const ModelText& text, ModelConfig& config) {
  if (config.mask_token >= 0) return;
  std::string known;
  for (const std::string_view name : family.mask_token_texts) {
    const std::optional<std::int32_t> id = text.tokenizer->find(name);
    if (id && *id < config.vocab) {
      config.mask_token = *id;
      return;
    }
    known += (known.empty() ? "'" : " or '") + std::string(name) + "'";
  }
  fail(ErrorCode::kCorruptFile, "{}: expected the mask token {} in the tokenizer, found none",
       text.source, known);
}

void add_end_tokens(const Family& family, const Tokenizer& tokenizer, ModelConfig& config) {
  for (const std::string_view text : family.end_token_texts) {
    const std::optional<std::int32_t> id = tokenizer.find(text);
    if (!id || *id >= config.vocab) continue;
    auto& known = config.end_tokens;
    if (std::find(known.begin(), known.end(), *id) == known.end()) known.push_back(*id);
  }
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& model) {
  if (std::filesystem::is_directory(model)) return read_folder_tokenizer(model);
  return open_text(*open_checkpoint(model)).tokenizer;
}

}  // namespace fdllm
