#pragma once
#include <string_view>

namespace fdllm::cli {

/// Writes a line to stderr for a program that has to live whatever becomes of it: a reader that is
/// gone, a full disk or a closed descriptor lose lines, and so does a reader that does not read, of
/// which the program waits only a moment. How many were lost is said when lines get through again.
/// From any thread.
void write_log(std::string_view line) noexcept;

}  // namespace fdllm::cli
