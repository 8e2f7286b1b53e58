#pragma once
#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "base/check.h"

namespace fdllm {

/// A back end that gives whole logits: for checks and measurements. Decoding never asks for them.
class LogitsBackend {
 public:
  virtual ~LogitsBackend() = default;

  /// The logits [rows, V] of rows 0 .. rows - 1 of x, after the final norm.
  virtual void head_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                           std::span<float> logits) = 0;

  /// Throws kUnsupported where `backend` is none.
  static LogitsBackend& of(Backend& backend) {
    if (auto* const found = dynamic_cast<LogitsBackend*>(&backend)) return *found;
    fail(ErrorCode::kUnsupported, "device: {} gives no logits", backend.description());
  }
};

}  // namespace fdllm
