// The header of a safetensors file and the index of a sharded checkpoint. Every accepted entry is
// checked against what the readers of its data rely on.
#include <cstdint>
#include <cstdlib>

#include "base/check.h"
#include "formats/safetensors.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_header(std::span<const std::byte> file) {
  std::size_t covered = 0;
  for (const fdllm::SafetensorsEntry& entry :
       fdllm::parse_safetensors_header(file, "fuzz.safetensors")) {
    require(entry.begin <= entry.end && entry.end <= file.size() && entry.begin >= covered);
    covered = entry.end;
    if (!entry.dtype) continue;
    fdllm::TensorView view;
    view.name = entry.name;
    view.shape = entry.shape;
    const std::uint64_t element_bytes = *entry.dtype == fdllm::DType::kF32 ? 4 : 2;
    const auto bytes = static_cast<std::uint64_t>(view.elements()) * element_bytes;
    require(bytes == entry.end - entry.begin);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    check_header({reinterpret_cast<const std::byte*>(data), size});
  } catch (const fdllm::Error& error) {
    require(error.code() == fdllm::ErrorCode::kCorruptFile);
  }
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [tensor, file] : fdllm::parse_safetensors_index(text, "fuzz.index.json")) {
      require(file.find('/') == std::string::npos);
    }
  } catch (const fdllm::Error& error) {
    require(error.code() == fdllm::ErrorCode::kCorruptFile);
  }
  return 0;
}
