#include "model/families/families.h"

#include <array>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {

std::span<const Family> families() {
  static const std::array kFamilies = {kLlada, kDream, kIllada, kSdar, kFastDllmV2};
  return kFamilies;
}

const Family& family_of(const Checkpoint& checkpoint) {
  const bool is_gguf = checkpoint.format() == "gguf";
  std::string known;
  for (const Family& family : families()) {
    if (family.matches(checkpoint)) return family;
    if (is_gguf && !family.has_gguf()) continue;
    known += known.empty() ? "" : ", ";
    known += family.name;
  }
  const Metadata& config = checkpoint.config();
  if (is_gguf) {
    fail(ErrorCode::kUnsupported,
         "{}: 'general.architecture': expected one that this engine knows ({}), found {}",
         config.source(), known, quote(config.text("general.architecture").value_or("nothing")));
  }
  const auto names = config.texts("architectures").value_or(std::vector<std::string>{});
  fail(
      ErrorCode::kUnsupported,
      "{}: 'model_type': expected a family that this engine knows ({}), found {} (architecture {})",
      config.source(), known, quote(config.text("model_type").value_or("nothing")),
      quote(names.empty() ? "none" : names.front()));
}

}  // namespace fdllm
