#pragma once
#include "backend/cuda/kernels.h"

namespace fdllm::cuda {

/// run_product() of one kind each.
void run_product_f32(Stream stream, const ProductTask& task);
void run_product_bf16(Stream stream, const ProductTask& task);
void run_product_integer(Stream stream, int bits, std::int64_t segment, const ProductTask& task);

}  // namespace fdllm::cuda
