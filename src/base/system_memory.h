#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace fdllm {

/// Bytes that this process can still take without swapping: the least of what the machine has
/// available, what its control groups leave (control_group.h) and what its limit of address space
/// leaves. nullopt where the system does not tell; 0: nothing is left. `root` is put before the
/// paths that are read, for tests. Reads some files of /proc and /sys: not for every step.
std::optional<std::uint64_t> available_memory(const std::string& root = "");

/// "1.52 GB" (10^9 bytes), "13.4 MB", "512 bytes".
std::string bytes_text(std::uint64_t bytes);

}  // namespace fdllm
