#pragma once
#include <cstdint>
#include <string>

namespace fdllm {

/// Bytes that this process can still take without swapping: the smaller of the system's available
/// memory and what its control group has left. 0 where the system does not tell.
std::uint64_t available_memory();

/// "1.52 GB" (10^9 bytes), "13.4 MB", "512 bytes".
std::string bytes_text(std::uint64_t bytes);

}  // namespace fdllm
