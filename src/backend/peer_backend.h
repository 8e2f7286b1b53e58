#pragma once
#include <cstdint>
#include <span>

#include "backend/backend.h"

namespace fdllm {

/// Columns [begin, end) of the rows of a buffer that has rows of `columns`.
struct ColumnSlice {
  const Buffer* from = nullptr;
  std::int64_t columns = 0;
  std::int64_t begin = 0, end = 0;
};

/// A back end of which several, each with a device of its own, can hold a model together
/// (tensor_parallel/).
class PeerBackend : public Backend {
 public:
  /// out[t] = row t's columns of all slices, one after another; out [rows, columns of all slices].
  /// A slice may be of a back end of the same kind and another device, then as wait_for_mark()
  /// says.
  virtual void join_columns(std::span<const ColumnSlice> slices, std::int64_t rows,
                            Buffer& out) = 0;
  /// Notes what was asked for so far, for wait_for_mark() of others.
  virtual void mark() {}
  /// What is asked for from now on comes after what `other`, a back end of the same kind, had been
  /// asked for at its last mark(). The host does not wait.
  virtual void wait_for_mark(const PeerBackend& /*other*/) {}
};

}  // namespace fdllm
