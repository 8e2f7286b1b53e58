#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "formats/checkpoint.h"
#include "model/config.h"

namespace fdllm {

// What the families' read_config functions share. The limits are far above any published model;
// they keep every product of sizes inside 64 bits.
inline constexpr std::int64_t kMaxWidth = 1 << 20;   ///< hidden, ffn
inline constexpr std::int64_t kMaxHeads = 1 << 14;   ///< heads, head_dim
inline constexpr std::int64_t kMaxLayers = 1 << 12;  ///< layers
inline constexpr std::int64_t kMaxVocab = 1 << 24;
inline constexpr std::int64_t kMaxPositions = 1 << 24;

/// A GGUF file's general.architecture is `gguf_architecture`, or config.json says `model_type` (in
/// upper or lower case), or has none and names `architecture`.
bool is_model(const Checkpoint& checkpoint, std::string_view model_type,
              std::string_view architecture, std::string_view gguf_architecture);

/// The integer at `key`, `fallback` where it is absent or null; kCorruptFile outside [low, high].
std::int64_t integer_or(const Metadata& config, std::string_view key, std::int64_t fallback,
                        std::int64_t low, std::int64_t high);

/// The same for a number.
double number_or(const Metadata& config, std::string_view key, double fallback, double low,
                 double high);

/// kUnsupported unless the flag at `key`, which is `fallback` where absent, is `expected`.
void expect_flag(const Metadata& config, std::string_view key, bool expected, bool fallback);

/// kUnsupported unless the text at `key`, which is `fallback` where absent, is `expected`.
void expect_text(const Metadata& config, std::string_view key, std::string_view expected,
                 std::string_view fallback);

/// kUnsupported where `key` is present and not null.
void expect_absent(const Metadata& config, std::string_view key);

/// Checks heads, kv_heads and head_dim against each other.
void check_heads(const Metadata& config, const ModelConfig& model);

/// The id that `source` has at `key`; kCorruptFile unless it is one of `vocab` tokens.
std::int32_t checked_token(const Metadata& source, std::string_view key, std::int64_t id,
                           std::int64_t vocab);

/// Adds a token to model.end_tokens, unless it is there; kCorruptFile where it is the mask.
void add_end_token(const Metadata& source, std::string_view key, std::int32_t token,
                   ModelConfig& model);

/// What a family says of the mask token where no file gives its id.
struct MaskFallback {
  std::optional<std::int32_t> id = std::nullopt;
  bool in_tokenizer = false;  ///< Family::mask_token_texts name it
};

/// Reads mask_token (from config, else from the generation settings, else as `fallback` says) and
/// end_tokens (from the generation settings, else from config) and checks them against vocab.
void read_tokens(const Checkpoint& checkpoint, ModelConfig& model,
                 const MaskFallback& fallback = {});

}  // namespace fdllm
