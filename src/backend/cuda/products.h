#pragma once
#include "backend/cuda/kernels.h"

namespace fdllm::cuda {

/// run_product() and product_room() of one kind each; f32 is never split.
void run_product_f32(Stream stream, const ProductTask& task);
void run_product_bf16(Stream stream, const ProductTask& task);
void run_product_integer(Stream stream, int bits, std::int64_t segment, const ProductTask& task);
ProductRoom product_room_bf16(const ProductTask& task);
ProductRoom product_room_integer(const ProductTask& task);

}  // namespace fdllm::cuda
