#include "formats/quantized_folder.h"

#include <array>
#include <string>
#include <string_view>
#include <system_error>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {
namespace {

// Keys of config.json: of transformers, of MLX, and of compressed-tensors before it had the first.
constexpr std::array<std::string_view, 4> kKeys = {"quantization_config", "quantization",
                                                   "compression_config", "quantize_config"};

struct SideFile {
  const char* name;
  const char* writer;
};
constexpr std::array kSideFiles = {SideFile{"quantize_config.json", "GPTQ"},
                                   SideFile{"quant_config.json", "AWQ"},
                                   SideFile{"hf_quant_config.json", "NVIDIA ModelOpt"},
                                   SideFile{"quant_model_description.json", "ModelSlim"}};

constexpr const char* kAdvice =
    "this engine does not read such folders: use the original model (--weights int8 or int4 "
    "quantises it at load) or a GGUF file";

/// "'gptq' with 4 bits", as far as config.json tells.
std::string method_text(const Metadata& config, const std::string& key) {
  const auto& values = config.values();
  const auto text = [&](const std::string& name) -> std::string {
    const auto found = values.find(key + '.' + name);
    if (found == values.end()) return {};
    if (const auto* method = std::get_if<std::string>(&found->second)) return *method;
    const auto* number = std::get_if<std::int64_t>(&found->second);
    return number == nullptr ? std::string() : std::to_string(*number);
  };
  std::string method = text("quant_method");
  if (method.empty()) method = text("quant_algo");
  const std::string group_size = text("group_size");
  if (method.empty()) method = group_size.empty() ? "an unnamed method" : "mlx";
  std::string bits = text("bits");
  if (bits.empty()) bits = text("w_bit");
  return bits.empty() ? quote(method) : fmt::format("{} with {} bits", quote(method), bits);
}

}  // namespace

void refuse_quantized_folder(const std::filesystem::path& folder, const Metadata& config) {
  for (const std::string_view key : kKeys) {
    if (!config.has(key)) continue;
    fail(ErrorCode::kUnsupported, "{}: '{}': expected none, found weights quantised by {}; {}",
         config.source(), key, method_text(config, std::string(key)), kAdvice);
  }
  for (const SideFile& file : kSideFiles) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder / file.name, ignored)) continue;
    fail(ErrorCode::kUnsupported,
         "{}: expected float weights, found {}, which {} writes beside quantised weights; {}",
         folder.string(), file.name, file.writer, kAdvice);
  }
}

}  // namespace fdllm
