#include "model/families/read.h"

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {
namespace {

/// In any case: the families' names are spelled in several ways.
bool is_same_name(std::string_view one, std::string_view other) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

std::int32_t checked_token(const Metadata& source, std::string_view key, std::int64_t id,
                           std::int64_t vocab) {
  if (id < 0 || id >= vocab) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected a token from 0 to {}, found {}",
         source.source(), key, vocab - 1, id);
  }
  return static_cast<std::int32_t>(id);
}

void add_end_token(const Metadata& source, std::string_view key, std::int32_t token,
                   ModelConfig& model) {
  if (token == model.mask_token) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected an end token, found {}, the mask",
         source.source(), key, token);
  }
  const auto& known = model.end_tokens;
  if (std::find(known.begin(), known.end(), token) == known.end()) {
    model.end_tokens.push_back(token);
  }
}

bool is_model(const Checkpoint& checkpoint, std::string_view model_type,
              std::string_view architecture, std::string_view gguf_architecture) {
  const Metadata& config = checkpoint.config();
  if (checkpoint.format() == "gguf") {
    return !gguf_architecture.empty() && config.text("general.architecture") == gguf_architecture;
  }
  if (const auto found = config.text("model_type")) return is_same_name(*found, model_type);
  const auto names = config.texts("architectures").value_or(std::vector<std::string>{});
  return std::find(names.begin(), names.end(), architecture) != names.end();
}

std::int64_t integer_or(const Metadata& config, std::string_view key, std::int64_t fallback,
                        std::int64_t low, std::int64_t high) {
  return config.has(key) ? config.required_integer(key, low, high) : fallback;
}

double number_or(const Metadata& config, std::string_view key, double fallback, double low,
                 double high) {
  const double value = config.number(key).value_or(fallback);
  if (!(value >= low && value <= high)) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected a number from {} to {}, found {}",
         config.source(), key, low, high, value);
  }
  return value;
}

void expect_flag(const Metadata& config, std::string_view key, bool expected, bool fallback) {
  const auto value = config.boolean(key);
  if (value.value_or(fallback) != expected) {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected {}, found {}; this engine does not compute that variant",
         config.source(), key, expected,
         value ? fmt::format("{}", *value) : fmt::format("nothing, which means {}", fallback));
  }
}

void expect_text(const Metadata& config, std::string_view key, std::string_view expected,
                 std::string_view fallback) {
  const auto value = config.text(key);
  if (value.value_or(std::string(fallback)) != expected) {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected '{}', found {}; this engine does not compute that variant",
         config.source(), key, expected,
         value ? quote(*value) : fmt::format("nothing, which means '{}'", fallback));
  }
}

void expect_absent(const Metadata& config, std::string_view key) {
  if (config.has(key)) {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected null, found a value; this engine does not compute that variant",
         config.source(), key);
  }
}

void check_heads(const Metadata& config, const ModelConfig& model) {
  if (model.heads % model.kv_heads != 0) {
    fail(ErrorCode::kCorruptFile,
         "{}: expected attention heads that are a multiple of the key/value heads, found {} and {}",
         config.source(), model.heads, model.kv_heads);
  }
  if (model.head_dim % 2 != 0) {
    fail(ErrorCode::kUnsupported, "{}: expected an even head size, found {}", config.source(),
         model.head_dim);
  }
}

namespace {

std::int32_t read_mask(const Checkpoint& checkpoint, const ModelConfig& model,
                       const MaskFallback& fallback) {
  const Metadata& config = checkpoint.config();
  const Metadata& generation = checkpoint.generation();
  const Metadata& source = config.has("mask_token_id") ? config : generation;
  if (source.has("mask_token_id")) {
    return checked_token(source, "mask_token_id", source.required_integer("mask_token_id"),
                         model.vocab);
  }
  if (fallback.in_tokenizer) return -1;
  if (fallback.id && *fallback.id < model.vocab) return *fallback.id;
  fail(ErrorCode::kCorruptFile,
       "{}: 'mask_token_id': expected the id of the mask token, found none; is this a diffusion "
       "language model?",
       config.source());
}

}  // namespace

void read_tokens(const Checkpoint& checkpoint, ModelConfig& model, const MaskFallback& fallback) {
  const Metadata& config = checkpoint.config();
  const Metadata& generation = checkpoint.generation();
  model.mask_token = read_mask(checkpoint, model, fallback);

  const Metadata& end_source = generation.has("eos_token_id") ? generation : config;
  for (const std::int64_t id :
       end_source.integers("eos_token_id").value_or(std::vector<std::int64_t>{})) {
    add_end_token(end_source, "eos_token_id",
                  checked_token(end_source, "eos_token_id", id, model.vocab), model);
  }
}

}  // namespace fdllm
