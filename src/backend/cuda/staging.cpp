#include "backend/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace fdllm::cuda {
namespace {

constexpr std::size_t kLeastBytes = std::size_t{4} << 20;
constexpr std::size_t kAlignment = 16;

}  // namespace

std::byte* Staging::reserve(std::size_t bytes) {
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded > memory_.size() - used_) {
    runtime_->synchronize();
    used_ = 0;
    memory_.reserve(*runtime_, std::max(2 * rounded, kLeastBytes), "staging memory");
  }
  std::byte* const memory = memory_.data() + used_;
  used_ += rounded;
  return memory;
}

void Staging::upload(void* to, std::span<const std::byte> from) {
  if (from.empty()) return;
  std::byte* const pinned = reserve(from.size());
  std::memcpy(pinned, from.data(), from.size());
  runtime_->copy_to_device(to, pinned, from.size());
}

}  // namespace fdllm::cuda
