#pragma once
#include <stdexcept>
#include <string>

namespace fdllm {

/// What kind of thing went wrong; the command line maps it to an exit code, a server to a status.
enum class ErrorCode {
  kInvalidArgument,  ///< an option, request or prompt that contradicts itself or the model
  kNotFound,         ///< a file or tensor that isn't there
  kCorruptFile,      ///< a checkpoint, tokenizer or trace whose content is damaged or hostile
  kUnsupported,      ///< well-formed, but something this engine does not do
  kOutOfMemory,      ///< the estimate (or the allocation) exceeds what the machine has
  kNumeric,          ///< NaN or infinity where a number was expected
  kCancelled,        ///< the caller asked for it
  kBusy,             ///< too many requests wait already; try again later
  kUnavailable,      ///< shutting down: no new requests; an address that can't be listened on
  kInternal,         ///< a broken invariant: a bug in this engine
};

/// "out_of_memory": what results in JSON call it.
const char* name_of(ErrorCode code) noexcept;

/// An error as a value: that of one request of many, which ends no other.
struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

/// The only exception type that leaves this library. The message says where (file or option), which
/// field, what was expected, what was found and, where possible, what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace fdllm
