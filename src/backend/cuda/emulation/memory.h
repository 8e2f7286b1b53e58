#pragma once
#include <cstdint>

namespace fdllm::cuda::emulation {

/// Bytes of memory that the emulated device has from now on; 0, as at first: as many as the host.
void set_device_memory(std::uint64_t bytes);

/// Bytes of the device's memory that are taken.
std::uint64_t used_device_memory();

}  // namespace fdllm::cuda::emulation
