#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// Tokens that a model's files want before and after a text that is no chat: BOS and EOS. Both are
/// empty for most models.
struct SurroundingTokens {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
};

/// Text <-> token ids. Immutable and thread-safe.
class Tokenizer {
 public:
  static constexpr std::size_t kNoLimit = SIZE_MAX;

  virtual ~Tokenizer() = default;

  /// Any bytes; invalid UTF-8 is first replaced by U+FFFD as Python's bytes.decode('utf-8',
  /// 'replace') does. Texts of added (special) tokens become those tokens. No BOS or EOS is added.
  /// Throws kInvalidArgument for a text of more than `most` tokens, most of the time before the
  /// work of cutting it up: from its bytes one can tell that it has at least so many.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           std::size_t most = kNoLimit) const = 0;
  /// The exact bytes of the tokens (they need not be valid UTF-8). Ids out of range, and ids in
  /// range that no token has, throw kInvalidArgument.
  virtual std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special) const = 0;
  virtual bool is_special(std::int32_t id) const = 0;
  /// Whether a token has this id: ids between tokens, and the rows with which a model's matrix is
  /// filled up, are none.
  virtual bool has(std::int32_t id) const = 0;
  /// Largest id + 1.
  virtual std::int32_t vocab_size() const = 0;
  /// The id of an exact token text (vocabulary spelling or added-token text).
  virtual std::optional<std::int32_t> find(std::string_view token) const = 0;
  /// What the files ask for around a text: `post_processor`, `add_bos_token`, `add_eos_token`. A
  /// chat template writes its own.
  virtual const SurroundingTokens& surrounding() const;
};

/// Reads the tokenizer of a Hugging Face folder: tokenizer.json, else vocab.json and merges.txt
/// with the split pattern of the class that tokenizer_config.json names (Qwen2Tokenizer,
/// DreamTokenizer, GPT2Tokenizer, with or without "Fast") and added tokens from
/// `added_tokens_decoder`, else added_tokens.json and special_tokens_map.json, as transformers
/// reads them. `add_bos_token` and `add_eos_token` of tokenizer_config.json add to what
/// tokenizer.json's post-processor puts around a text. Throws kNotFound, kCorruptFile or
/// kUnsupported naming file and field.
std::unique_ptr<Tokenizer> read_folder_tokenizer(const std::filesystem::path& folder);

/// Reads a Hugging Face tokenizer.json: byte-level BPE with added tokens; the normalizer NFC; the
/// pre-tokenizers Split, Digits, ByteLevel and Sequence; the post-processors ByteLevel,
/// TemplateProcessing, RobertaProcessing, BertProcessing and Sequence. Truncation and padding are
/// tolerated and do nothing. Tokens are those of the PyPI package `tokenizers`, but for characters
/// newer than Unicode 14. Throws kCorruptFile or kUnsupported naming file and field.
std::unique_ptr<Tokenizer> read_tokenizer_json(const std::filesystem::path& file);
/// The same from text; `source` stands in messages.
std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view source);

}  // namespace fdllm
