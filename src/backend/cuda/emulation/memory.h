#pragma once
#include <cstdint>

namespace fdllm::cuda::emulation {

/// Emulated devices; their numbers begin at 0.
inline constexpr int kDevices = 4;

/// Bytes of memory that each emulated device has from now on; 0, as at first: as many as the host.
void set_device_memory(std::uint64_t bytes);

/// Bytes of a device's memory that are taken.
std::uint64_t used_device_memory(int ordinal = 0);

/// Whether devices may read each other's memory from now on; at first they may.
void set_peer_access(bool can_read);

}  // namespace fdllm::cuda::emulation
