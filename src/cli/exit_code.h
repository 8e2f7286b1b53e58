#pragma once
#include "fastdllm/error.h"

namespace fdllm::cli {

inline constexpr int kExitFailed = 1;  ///< a request ended in an error, or a check failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCancelled = 130;

/// The one place where an error becomes an exit code.
constexpr int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    case ErrorCode::kNotFound:
      return 3;
    case ErrorCode::kCorruptFile:
      return 4;
    case ErrorCode::kUnsupported:
      return 5;
    case ErrorCode::kOutOfMemory:
      return 6;
    case ErrorCode::kNumeric:
      return 7;
    case ErrorCode::kInternal:
      return 70;
    case ErrorCode::kCancelled:
      return kExitCancelled;
    case ErrorCode::kBusy:
    case ErrorCode::kUnavailable:
      return kExitFailed;
  }
  return 70;
}

/// For the help.
inline constexpr const char* kExitCodeHelp =
    "Exit codes: 0 done; 1 a request ended in an error or a check failed; 2 wrong usage; 3 a file "
    "is missing; 4 a file is damaged; 5 unsupported; 6 out of memory; 7 NaN or infinite numbers; "
    "70 a bug in fast-dllm; 130 interrupted.";

}  // namespace fdllm::cli
