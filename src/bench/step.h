#pragma once
#include <cstdint>
#include <optional>

#include "bench/model.h"
#include "bench/operation.h"
#include "bench/progress.h"

namespace fdllm::bench {

/// One forward of one request: rows [attend - rows, attend) of a canvas of `attend` tokens.
struct StepSettings {
  std::int64_t rows = 32;
  std::int64_t attend = 1024;  ///< K/V rows; equal to `rows`: a refresh
  /// Rows for the head, the last ones; default: `rows`, of a refresh as many as a block of 32 has.
  std::optional<std::int64_t> score;
  int repeat = 5;
  int warmup = 1;  ///< forwards before those that count
  BenchListener on_progress = {};
};

struct StepReport {
  std::int64_t rows = 0, attend = 0, score = 0;
  /// Of the whole forwards.
  double median_seconds = 0, min_seconds = 0, max_seconds = 0;
  /// Of each operation the median over the forwards.
  OperationCosts costs{};
  std::uint64_t memory = 0;  ///< anonymous, with K/V and buffers
};

/// Throws kInvalidArgument where the settings contradict each other or the model.
StepReport run_step(BenchModel& model, const StepSettings& settings);

}  // namespace fdllm::bench
