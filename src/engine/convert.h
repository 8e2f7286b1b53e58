#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace fdllm {

struct ConvertOptions {
  DType type = DType::kBF16;  ///< F32, BF16, F16, Q8_0, Q4_0 or Q4_K
  /// llama.cpp's name for the tokenizer's way to cut up text; empty: found by its patterns, the
  /// nearest where there is none. The tokenizer's own patterns are kept beside it.
  std::string pre_tokenizer = {};
  int threads = 0;  ///< 0: one per physical core
};

/// A tensor that is stored as another type than was asked for.
struct OtherType {
  std::string tensor;
  DType type;
  std::int64_t columns = 0;
  /// The type that its rows are no whole blocks of; the asked one where the reason is another (the
  /// head is kept at 6 bits or more).
  DType does_not_divide;
};

struct ConvertReport {
  std::uint64_t file_bytes = 0;
  std::int64_t tensors = 0;
  std::vector<OtherType> heads;      ///< kept at more bits than asked for
  std::vector<OtherType> fallbacks;  ///< rows are no whole blocks
  /// Sentences on what llama.cpp will read otherwise than this engine.
  std::vector<std::string> warnings;
};

/// Called before the first tensor is written and after every few rows, with bytes of the new file's
/// tensors. False ends the conversion with Error kCancelled; no file is left then.
using ConvertProgress = std::function<bool(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

/// Writes any checkpoint that this engine reads as a GGUF file that llama.cpp loads: its keys and
/// names, q and k in its row order. Vectors stay F32. Where rows are no whole blocks, llama.cpp's
/// next types: Q4_K -> Q5_0, Q6_K -> Q8_0, then F16. With 4 bits the head is Q6_K. The input is
/// read as it is mapped, a few rows at a time. Throws kNumeric for weights that are not finite or
/// too large for the type.
ConvertReport convert_to_gguf(const std::filesystem::path& input,
                              const std::filesystem::path& output, const ConvertOptions& options,
                              const ConvertProgress& progress = {});

}  // namespace fdllm
