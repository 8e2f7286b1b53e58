#pragma once
#include <optional>
#include <string_view>

#include "fastdllm/error.h"

namespace fdllm {

/// The exception that is being handled, as a value: an Error's own code, kOutOfMemory for a failed
/// allocation, kInternal for all else. For catch blocks; needs no memory where there is none.
Failure current_failure() noexcept;

/// The code that name_of() calls so; nullopt for other words.
std::optional<ErrorCode> error_code_from(std::string_view name) noexcept;

/// A copy; without the message where there is no memory for it.
Failure copy_of(const Failure& failure) noexcept;

/// kOutOfMemory as an exception that can be thrown when nothing can be allocated any more.
[[noreturn]] void throw_out_of_memory();

}  // namespace fdllm
