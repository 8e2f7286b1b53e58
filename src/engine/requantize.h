#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "base/dtype.h"
#include "base/thread_pool.h"
#include "formats/checkpoint.h"
#include "formats/gguf_writer.h"

namespace fdllm {

/// The type to store rows of `columns` as where `wanted` is: itself, or llama.cpp's next one whose
/// blocks divide the row.
DType type_for_columns(DType wanted, std::int64_t columns);

/// Reads a stored tensor's rows and writes them as another type, some at a time.
class Requantizer {
 public:
  explicit Requantizer(int threads);

  /// Writes the first `rows` rows of `tensor` (a vector is one of one column each) as `type`.
  /// `interleaved_heads` above 0: in the order of StoredMatrix::interleaved_heads. Throws kNumeric
  /// where a value isn't finite or is too large for the type.
  void write(const TensorView& tensor, std::int64_t rows, DType type,
             std::int64_t interleaved_heads, const GgufSink& sink);

 private:
  ThreadPool pool_;
};

}  // namespace fdllm
