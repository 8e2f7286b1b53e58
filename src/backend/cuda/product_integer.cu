#include "backend/cuda/product_tiles.cuh"

namespace fdllm::cuda {
namespace {

/// Integer sums, those of a block and the result fill the registers earlier than bf16's.
using ManyRows = ProductShape<2, 2, 2, 4, 3>;

template <int kBits, int kSegment>
void run(Stream stream, const ProductTask& task) {
  with_shape<ManyRows>(task, [&]<typename Shape>(Shape) {
    launch_tiles<ProductFormat<kBits, kSegment>, Shape>(stream, task);
  });
}

}  // namespace

ProductRoom product_room_integer(const ProductTask& task) {
  ProductRoom room;
  with_shape<ManyRows>(task, [&]<typename Shape>(Shape) { room = room_of<Shape>(task); });
  return room;
}

void run_product_integer(Stream stream, int bits, std::int64_t segment, const ProductTask& task) {
  if (bits == 4) {
    return segment == 32 ? run<4, 32>(stream, task) : run<4, 128>(stream, task);
  }
  if (segment == 32) return run<8, 32>(stream, task);
  if (segment == 128) return run<8, 128>(stream, task);
  run<8, 2048>(stream, task);
}

}  // namespace fdllm::cuda
