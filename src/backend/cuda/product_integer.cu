#include "backend/cuda/product_tiles.cuh"

namespace fdllm::cuda {
namespace {

using FewRows = ProductShape<1, 4, 1, 2, 4>;
using SomeRows = ProductShape<1, 4, 2, 2, 4>;
/// Integer sums, those of a block and the result fill the registers earlier than bf16's.
using ManyRows = ProductShape<2, 2, 2, 4, 3>;

template <int kBits, int kSegment>
void run(Stream stream, const ProductTask& task) {
  using Format = ProductFormat<kBits, kSegment>;
  if (task.rows <= FewRows::kRows) {
    launch_tiles<Format, FewRows>(stream, task);
  } else if (task.rows <= 2 * SomeRows::kRows) {
    launch_tiles<Format, SomeRows>(stream, task);
  } else {
    launch_tiles<Format, ManyRows>(stream, task);
  }
}

}  // namespace

void run_product_integer(Stream stream, int bits, std::int64_t segment, const ProductTask& task) {
  if (bits == 4) {
    return segment == 32 ? run<4, 32>(stream, task) : run<4, 128>(stream, task);
  }
  if (segment == 32) return run<8, 32>(stream, task);
  if (segment == 128) return run<8, 128>(stream, task);
  run<8, 2048>(stream, task);
}

}  // namespace fdllm::cuda
