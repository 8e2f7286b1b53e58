// config.json: the same text is config.json and generation_config.json of a checkpoint in which
// every tensor is missing. What strict JSON reads, Python's reads with the same values.
#include <cstdint>
#include <cstdlib>

#include "base/check.h"
#include "base/json.h"
#include "formats/hf_config.h"
#include "model/config.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

class ConfigOnly final : public fdllm::Checkpoint {
 public:
  explicit ConfigOnly(std::string_view text) : config_(fdllm::parse_hf_config(text, "fuzz.json")) {}

  const std::filesystem::path& path() const override { return path_; }
  std::string_view format() const override { return "safetensors"; }
  const fdllm::Metadata& config() const override { return config_; }
  const fdllm::Metadata& generation() const override { return config_; }
  const fdllm::TensorView* find(std::string_view /*name*/) const override { return nullptr; }
  std::vector<std::string> names() const override { return {}; }

 private:
  std::filesystem::path path_ = "fuzz";
  fdllm::Metadata config_;
};

void check_config(const fdllm::ModelConfig& model) {
  require(model.hidden > 0 && model.layers > 0 && model.ffn > 0 && model.vocab > 0);
  require(model.heads > 0 && model.kv_heads > 0 && model.heads % model.kv_heads == 0);
  require(model.head_dim > 0 && model.head_dim % 2 == 0 && model.max_positions > 0);
  require(model.rms_eps > 0 && model.rope_theta >= 1);
  // -1: the tokenizer knows it.
  require(model.mask_token >= -1 && model.mask_token < model.vocab);
  for (const std::int32_t token : model.end_tokens) require(token >= 0 && token < model.vocab);
}

void compare_dialects(std::string_view text) {
  nlohmann::json strict;
  try {
    strict = fdllm::parse_json(text, "fuzz.json");
  } catch (const fdllm::Error&) {
    return;
  }
  require(fdllm::parse_json(text, "fuzz.json", {.dialect = fdllm::JsonDialect::kPython}) == strict);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  compare_dialects({reinterpret_cast<const char*>(data), size});
  bool resolved = false;
  try {
    const ConfigOnly checkpoint({reinterpret_cast<const char*>(data), size});
    const fdllm::Family& family = fdllm::family_of(checkpoint);
    const fdllm::ModelConfig model = family.read_config(checkpoint);
    check_config(model);
    fdllm::resolve_tensors(checkpoint, family, model);
    resolved = true;
  } catch (const fdllm::Error& error) {
    require(error.code() != fdllm::ErrorCode::kInternal);
  }
  require(!resolved);
  return 0;
}
