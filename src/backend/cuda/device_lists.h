#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cuda/rows.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/staging.h"

namespace fdllm::cuda {

/// What a list is for.
enum class ListUse : std::uint8_t {
  kRowCount,
  kTokens,
  kGatheredRows,
  kColumnSlices,
  kRowSequences,
  kPositions,
  kSequences,
  kAttended,
  kTiles,
  kHeadHidden,
  kHeadRows,
  kTokenRules,
};

/// Small lists that the launches of one flush read: collected on the host, and sent in one copy
/// through pinned memory.
class DeviceLists {
 public:
  explicit DeviceLists(Runtime& runtime) : runtime_(&runtime), staging_(runtime) {}

  /// Where the list will be in device memory, with room for `capacity` bytes; the same place as a
  /// list of the same use and content since the last clear().
  const void* add(ListUse use, std::span<const std::byte> bytes, std::size_t capacity);
  void send();
  /// Forgets the lists; their memory is used again.
  void clear();

 private:
  /// A piece of device memory and what will be copied there. More are added where one is not
  /// enough: addresses that were given out stay.
  struct Block {
    DeviceMemory device;
    std::vector<std::byte> host;
    std::size_t used = 0;
  };
  struct List {
    ListUse use;
    std::size_t block, begin, bytes, capacity;
  };

  Runtime* runtime_;
  Staging staging_;
  std::vector<Block> blocks_;
  std::vector<List> lists_;
};

}  // namespace fdllm::cuda
