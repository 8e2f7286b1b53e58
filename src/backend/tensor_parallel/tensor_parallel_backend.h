#pragma once
#include <memory>
#include <vector>

#include "backend/backend.h"

namespace fdllm {

/// Several back ends of one kind, each with a device and memory of its own, as one (at least two).
/// Output columns of every matrix are split over them (q, k, v and the K/V cache by heads, gate and
/// up by themselves), so that no sum is: results have the bits of a single such back end. Each
/// computes on its own columns, and makes whole what the next product or norm needs whole: four
/// times a layer. Each has the head and the embeddings whole; rows to be scored are dealt out.
///
/// K/V heads must be a multiple of the number of back ends: kUnsupported, thrown by kv_bytes(), so
/// before a model is loaded, and by allocate_kv().
std::unique_ptr<Backend> make_tensor_parallel_backend(
    std::vector<std::unique_ptr<Backend>> devices);

}  // namespace fdllm
