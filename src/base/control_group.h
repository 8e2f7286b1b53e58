#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace fdllm {

// Linux's control groups, of version 2 and 1: what the process's own group and all above it that
// can be seen leave it. nullopt where none of them sets a limit. `root` is put before every path:
// tests read a folder of their own.

/// Bytes that the tightest group still takes. Page cache that the kernel would give back counts as
/// free: all that is inactive, and half of what is active.
std::optional<std::uint64_t> control_group_memory_left(const std::string& root = "");

/// CPUs that the tightest quota grants, as a fraction: 1.5 are three halves of one.
std::optional<double> control_group_cpus(const std::string& root = "");

}  // namespace fdllm
