#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm {

/// max|found - expected| / max|expected| of one tensor; infinite where a value is NaN.
double relative_difference(std::span<const float> expected, std::span<const float> found);

struct LogitsReport {
  std::string tensor;  ///< "0.full_logits"
  double difference = 0;
};

/// Compares single forwards of a model with a file of logits (tests/golden/README.md), in the
/// model's own unshifted order. `report` is called for each tensor. Throws kNotFound, kCorruptFile
/// or kUnsupported for the file, and what the engine throws.
void check_logits(const std::filesystem::path& file, Engine& engine,
                  const std::function<void(const LogitsReport&)>& report);

}  // namespace fdllm
