#include "backend/cuda/product_tiles.cuh"

namespace fdllm::cuda {
namespace {

/// Refreshes and large batches: tiles large enough to be bound by the matrix units.
using ManyRows = ProductShape<2, 2, 4, 8, 2>;

using Format = ProductFormat<16>;

}  // namespace

ProductRoom product_room_bf16(const ProductTask& task) {
  ProductRoom room;
  with_shape<ManyRows>(task, [&]<typename Shape>(Shape) { room = room_of<Shape>(task); });
  return room;
}

void run_product_bf16(Stream stream, const ProductTask& task) {
  with_shape<ManyRows>(task,
                       [&]<typename Shape>(Shape) { launch_tiles<Format, Shape>(stream, task); });
}

}  // namespace fdllm::cuda
