#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fastdllm/error.h"

namespace fdllm {

/// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws kInternal unless `condition`: for invariants, never for input.
inline void check(bool condition, const char* what) {
  if (!condition) throw Error(ErrorCode::kInternal, std::string("internal error: ") + what);
}

/// a * b, or kCorruptFile naming `what`: for sizes, counts and offsets that come from a file.
template <std::integral T>
T checked_mul(T a, T b, std::string_view what) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) {
    fail(ErrorCode::kCorruptFile, "{}: {} x {} does not fit", what, a, b);
  }
  return result;
}

}  // namespace fdllm
