#include "backend/cuda/device_embedding.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch_queue.h"

namespace fdllm::cuda {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{32} << 20;
constexpr std::uint64_t kShareOfFreeMemory = 8;

}  // namespace

DeviceEmbedding::DeviceEmbedding(Runtime& runtime, const StoredMatrix& table)
    : stored_(table), dtype_(table.dtype) {
  const std::size_t bytes = table.data.size();
  if (is_block_type(dtype_) || bytes > runtime.free_memory() / kShareOfFreeMemory) return;
  memory_ = DeviceMemory(runtime, bytes, "token embeddings");
  const PinnedMemory pinned(runtime, std::min(bytes, kBatchBytes), "embeddings on their way");
  for (std::size_t first = 0; first < bytes; first += kBatchBytes) {
    const std::size_t count = std::min(kBatchBytes, bytes - first);
    std::memcpy(pinned.data(), table.data.data() + first, count);
    runtime.copy_to_device(memory_.data() + first, pinned.data(), count);
    runtime.synchronize();
  }
}

void DeviceEmbedding::embed(Runtime& runtime, ThreadPool& pool,
                            std::span<const std::int32_t> tokens, float* x) const {
  if (tokens.empty()) return;
  const std::int64_t columns = stored_.columns();
  if (!is_on_device()) {
    const std::size_t bytes = tokens.size() * static_cast<std::size_t>(columns) * sizeof(float);
    host_rows_.reserve(runtime, bytes, "embeddings on their way");
    auto* const rows = host_rows_.as<float>();
    pool.run(pool.size(), std::ssize(tokens), [&](std::int64_t row, int) noexcept {
      stored_.read(tokens[row], rows + row * columns);
    });
    runtime.copy_to_device(x, rows, bytes);
    runtime.synchronize();  // the next forward overwrites them
    return;
  }
  LaunchQueue& queue = *runtime.stream();
  run_embed(&queue, {.table = memory_.data(),
                     .dtype = dtype_,
                     .tokens = queue.list<std::int32_t>(ListUse::kTokens, tokens),
                     .rows = queue.rows(std::ssize(tokens)),
                     .columns = columns,
                     .out = x});
}

}  // namespace fdllm::cuda
