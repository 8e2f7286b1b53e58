#include "backend/cuda/product_tiles.cuh"

namespace fdllm::cuda {
namespace {

/// A cached step of one request: weights stream through small tiles, four stages deep.
using FewRows = ProductShape<1, 4, 1, 2, 4>;
using SomeRows = ProductShape<1, 4, 2, 2, 4>;
/// Refreshes and large batches: tiles large enough to be bound by the matrix units.
using ManyRows = ProductShape<2, 2, 4, 8, 2>;

/// `use` gets the ProductShape for the task's rows.
template <typename Use>
void with_shape(const ProductTask& task, const Use& use) {
  if (task.rows.most <= FewRows::kRows) {
    use(FewRows{});
  } else if (task.rows.most <= 2 * SomeRows::kRows) {
    use(SomeRows{});
  } else {
    use(ManyRows{});
  }
}

using Format = ProductFormat<16>;

}  // namespace

ProductRoom product_room_bf16(const ProductTask& task) {
  ProductRoom room;
  with_shape(task, [&]<typename Shape>(Shape) { room = room_of<Shape>(task); });
  return room;
}

void run_product_bf16(Stream stream, const ProductTask& task) {
  with_shape(task, [&]<typename Shape>(Shape) { launch_tiles<Format, Shape>(stream, task); });
}

}  // namespace fdllm::cuda
