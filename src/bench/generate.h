#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "fastdllm/options.h"

#include "bench/model.h"
#include "bench/progress.h"

namespace fdllm::bench {

struct GenerateSettings {
  /// Tokens of each prompt, random ones. Not given where `prompt` is.
  std::optional<std::int64_t> prompt_length;
  std::optional<std::string> prompt;  ///< the user's message, for a model with a tokenizer
  std::int32_t batch = 1;             ///< requests that run together
  std::int32_t warmup = 0;            ///< whole runs before the one that is timed
  GenerateOptions options;
  BenchListener on_progress = {};
};
inline constexpr std::int64_t kDefaultPromptLength = 896;

/// Forwards of one kind.
struct ForwardTimes {
  std::int64_t count = 0;
  double seconds = 0;
  double mean_seconds() const { return count > 0 ? seconds / static_cast<double>(count) : 0; }
};

struct GenerateReport {
  std::int64_t prompt_length = 0;
  GenerateOptions options;  ///< with what the model and its weights change
  double seconds = 0;       ///< from the first forward to the last token
  /// Forwards over whole canvases only, over windows only, and over both (a batch may mix them).
  ForwardTimes refresh, window, mixed;
  std::int64_t committed = 0;  ///< tokens that were unmasked
  /// Tokens before each answer's end token; with random weights all that were unmasked.
  std::int64_t useful = 0;
  std::uint64_t peak_memory = 0;  ///< anonymous, loading not included
};

/// Runs the requests through the step loop, each forward whole. Random weights end at no end token.
/// Throws kInvalidArgument where the settings contradict each other or the model, and what ended a
/// request.
GenerateReport run_generate(BenchModel& model, const GenerateSettings& settings);

}  // namespace fdllm::bench
