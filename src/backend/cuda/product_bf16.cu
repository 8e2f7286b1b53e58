#include "backend/cuda/product_tiles.cuh"

namespace fdllm::cuda {
namespace {

/// A cached step of one request: weights stream through small tiles, four stages deep.
using FewRows = ProductShape<1, 4, 1, 2, 4>;
using SomeRows = ProductShape<1, 4, 2, 2, 4>;
/// Refreshes and large batches: tiles large enough to be bound by the matrix units.
using ManyRows = ProductShape<2, 2, 4, 8, 2>;

}  // namespace

void run_product_bf16(Stream stream, const ProductTask& task) {
  using Format = ProductFormat<16>;
  if (task.rows <= FewRows::kRows) {
    launch_tiles<Format, FewRows>(stream, task);
  } else if (task.rows <= 2 * SomeRows::kRows) {
    launch_tiles<Format, SomeRows>(stream, task);
  } else {
    launch_tiles<Format, ManyRows>(stream, task);
  }
}

}  // namespace fdllm::cuda
