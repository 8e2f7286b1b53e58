#pragma once
#include <optional>

#include "fastdllm/error.h"

namespace fdllm::cli {

inline constexpr int kExitFailed = 1;  ///< requests ended in errors, or a check failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitAddress = 8;  ///< the server's address cannot be listened on
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
    case ErrorCode::kUnavailable:
      return kExitAddress;
    case ErrorCode::kBusy:
      return kExitFailed;
  }
  return 70;
}

/// The exit code of a run of several requests: that of the error in which all that failed ended,
/// kExitFailed where they ended in different ones. A request that the model can't take, such as one
/// that is too long, isn't wrong usage of the program: it counts as kExitFailed.
class RequestFailures {
 public:
  /// nullopt: an error of an unknown kind.
  void add(std::optional<ErrorCode> code) {
    const bool is_usage = code == ErrorCode::kInvalidArgument;
    const int exit = !code || is_usage ? kExitFailed : exit_code(*code);
    code_ = code_ == 0 || code_ == exit ? exit : kExitFailed;
  }
  /// 0 where none was added.
  int code() const { return code_; }

 private:
  int code_ = 0;
};

/// For the help.
inline constexpr const char* kExitCodeHelp =
    "Exit codes: 0 done; 1 requests ended in errors or a check failed; 2 wrong usage; 3 a file is "
    "missing; 4 a file is damaged; 5 unsupported; 6 out of memory; 7 NaN or infinite numbers; 8 "
    "the "
    "server's address cannot be listened on; 70 a bug in fast-dllm; 130 interrupted. Where all "
    "requests that failed did so for one of these reasons, the code is that one's.";

}  // namespace fdllm::cli
