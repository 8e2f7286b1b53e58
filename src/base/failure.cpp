#include "base/failure.h"

#include <exception>
#include <new>

namespace fdllm {
namespace {

// Short enough for std::string to hold it without memory of its own.
constexpr const char* kNoMemory = "out of memory";

/// Made at the program's start, when there is memory; copies of it share its text.
const Error kOutOfMemoryError(ErrorCode::kOutOfMemory, kNoMemory);

constexpr ErrorCode kCodes[] = {
    ErrorCode::kInvalidArgument, ErrorCode::kNotFound,    ErrorCode::kCorruptFile,
    ErrorCode::kUnsupported,     ErrorCode::kOutOfMemory, ErrorCode::kNumeric,
    ErrorCode::kCancelled,       ErrorCode::kBusy,        ErrorCode::kUnavailable,
    ErrorCode::kInternal,
};

Failure failure_of(ErrorCode code, const char* message) noexcept {
  Failure failure;
  failure.code = code;
  try {
    failure.message = message;
  } catch (...) {
    failure.message = kNoMemory;
  }
  return failure;
}

}  // namespace

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return failure_of(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return failure_of(ErrorCode::kOutOfMemory, kNoMemory);
  } catch (const std::exception& error) {
    return failure_of(ErrorCode::kInternal, error.what());
  } catch (...) {
    return failure_of(ErrorCode::kInternal, "unknown error");
  }
}

std::optional<ErrorCode> error_code_from(std::string_view name) noexcept {
  for (const ErrorCode code : kCodes) {
    if (name == name_of(code)) return code;
  }
  return std::nullopt;
}

Failure copy_of(const Failure& failure) noexcept {
  return failure_of(failure.code, failure.message.c_str());
}

void throw_out_of_memory() {
  throw Error(kOutOfMemoryError);
}

const char* name_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kCorruptFile:
      return "corrupt_file";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kOutOfMemory:
      return "out_of_memory";
    case ErrorCode::kNumeric:
      return "numeric";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kInternal:
      break;
  }
  return "internal";
}

}  // namespace fdllm
