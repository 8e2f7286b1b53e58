#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// Text <-> token ids. Immutable and thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Any bytes; invalid UTF-8 is first replaced by U+FFFD as Python's bytes.decode('utf-8',
  /// 'replace') does. Texts of added (special) tokens become those tokens. No BOS or EOS is added.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  /// The exact bytes of the tokens (they need not be valid UTF-8). Ids out of range throw
  /// kInvalidArgument.
  virtual std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special) const = 0;
  virtual bool is_special(std::int32_t id) const = 0;
  /// Largest id + 1.
  virtual std::int32_t vocab_size() const = 0;
  /// The id of an exact token text (vocabulary spelling or added-token text).
  virtual std::optional<std::int32_t> find(std::string_view token) const = 0;
};

/// Bytes -> valid UTF-8, each maximal invalid part replaced by U+FFFD as Python does.
std::string to_valid_utf8(std::string_view bytes);

/// Reads a Hugging Face tokenizer.json: byte-level BPE with added tokens; the normalizer NFC; the
/// pre-tokenizers Split, Digits, ByteLevel and Sequence. A post-processor (ByteLevel or
/// TemplateProcessing), truncation and padding are tolerated and do nothing. Tokens are those of
/// the PyPI package `tokenizers`, but for characters newer than Unicode 14. Throws kCorruptFile or
/// kUnsupported naming file and field.
std::unique_ptr<Tokenizer> read_tokenizer_json(const std::filesystem::path& file);
/// The same from text; `source` stands in messages.
std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view source);

}  // namespace fdllm
