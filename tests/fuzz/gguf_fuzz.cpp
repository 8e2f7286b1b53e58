#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "fastdllm/error.h"

#include "formats/gguf.h"

// Any bytes either are refused with an error of a file, or give tensors inside the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const fdllm::GgufHeader header = fdllm::parse_gguf_header(bytes, "fuzz");
    for (const fdllm::GgufTensor& tensor : header.tensors) {
      if (tensor.begin > tensor.end || tensor.end > size) std::abort();
      if (!tensor.dtype) continue;
      std::size_t elements = 1;
      for (const std::int64_t extent : tensor.shape) elements *= static_cast<std::size_t>(extent);
      if (fdllm::row_bytes(*tensor.dtype, static_cast<std::int64_t>(elements)) !=
          tensor.end - tensor.begin) {
        std::abort();
      }
    }
  } catch (const fdllm::Error& error) {
    if (error.code() != fdllm::ErrorCode::kCorruptFile &&
        error.code() != fdllm::ErrorCode::kUnsupported) {
      std::abort();
    }
  }
  return 0;
}
