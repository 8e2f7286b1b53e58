#include "backend/cuda/device_lists.h"

#include <algorithm>

namespace fdllm::cuda {
namespace {

constexpr std::size_t kAlignment = 16;
constexpr std::size_t kLeastBlock = std::size_t{1} << 14;

}  // namespace

const void* DeviceLists::add(ListUse use, std::span<const std::byte> bytes, std::size_t capacity) {
  if (bytes.empty()) return nullptr;
  for (const List& list : lists_) {
    if (list.use != use || list.bytes != bytes.size() || list.capacity != capacity) continue;
    const Block& block = blocks_[list.block];
    if (std::equal(bytes.begin(), bytes.end(), block.host.begin() + std::ptrdiff_t(list.begin))) {
      return block.device.data() + list.begin;
    }
  }
  const std::size_t rounded =
      (std::max(capacity, bytes.size()) + kAlignment - 1) / kAlignment * kAlignment;
  auto found = std::ranges::find_if(
      blocks_, [&](const Block& block) { return rounded <= block.host.size() - block.used; });
  if (found == blocks_.end()) {
    const std::size_t size =
        std::max({rounded, kLeastBlock, blocks_.empty() ? 0 : 2 * blocks_.back().host.size()});
    blocks_.push_back(
        {DeviceMemory(*runtime_, size, "lists of rows"), std::vector<std::byte>(size)});
    found = blocks_.end() - 1;
  }
  const std::size_t begin = found->used;
  std::ranges::copy(bytes, found->host.begin() + std::ptrdiff_t(begin));
  found->used += rounded;
  lists_.push_back(
      {use, static_cast<std::size_t>(found - blocks_.begin()), begin, bytes.size(), capacity});
  return found->device.data() + begin;
}

void DeviceLists::send() {
  for (const Block& block : blocks_) {
    staging_.upload(block.device.data(), std::span(block.host).first(block.used));
  }
}

void DeviceLists::clear() {
  for (Block& block : blocks_) block.used = 0;
  lists_.clear();
}

}  // namespace fdllm::cuda
