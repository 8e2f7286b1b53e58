#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastdllm/events.h"
#include "fastdllm/options.h"

#include "base/range.h"

namespace fdllm {

/// One forward and what was committed after it, in canvas positions.
struct TraceForward {
  Range query;                                                  ///< positions fed to the model
  std::vector<std::pair<std::int32_t, std::int32_t>> unmasked;  ///< (position, token)
};

/// One generation, forward by forward: a line of a trace file (tests/golden/README.md).
struct Trace {
  std::string model;  ///< folder name of the checkpoint
  std::optional<std::string> question, expected_answer, prompt_text, output_text;
  std::vector<std::int32_t> prompt_ids;
  /// How it was decoded; gen_length and block_length are given. What a line doesn't say is as the
  /// reference does it.
  GenerateOptions options;
  std::vector<TraceForward> forwards;
  /// [gen_length]; positions that were never committed hold the mask token.
  std::vector<std::int32_t> output_ids;
  /// The forwards that commit nothing are listed too, and a replay goes as far as they do.
  bool all_forwards = false;
  /// A defect of the reference that shows in this trace, which is not imitated.
  std::optional<std::string> quirk;

  /// Whether positions may be left uncommitted at the end.
  bool may_end_early() const;
};

/// A trace and where it came from.
struct TraceLine {
  std::string where;  ///< "file:line", for messages
  Trace trace;
};

/// Reads one line. Unknown fields are ignored; every known one is checked, and so is the whole:
/// ranges lie on the canvas, no position is committed twice, output_ids agrees with the forwards.
/// Throws kCorruptFile naming `where` and the field.
Trace parse_trace(std::string_view line, std::string_view where);

/// The line for a trace, without a newline.
std::string format_trace(const Trace& trace);

/// Called for each non-empty line of a trace file: with the trace, or with the error that makes the
/// line unusable. `where` is "file:line".
struct TraceVisitor {
  std::function<void(TraceLine)> trace;
  std::function<void(const std::string& where, const std::string& error)> bad_line;
};

/// Reads a trace file line by line. Throws kNotFound where the file can't be opened.
void read_traces(const std::filesystem::path& file, const TraceVisitor& visitor);

/// Makes a trace out of a request's events: add() for each of its events, then finish().
class TraceRecorder {
 public:
  enum class Keep : std::uint8_t { kCommitting, kAll };
  TraceRecorder() = default;
  explicit TraceRecorder(Keep keep) : keep_(keep) {}

  void add(const StepEvent& event);
  std::size_t forwards() const { return forwards_.size(); }
  /// `settings` carries everything but forwards, prompt_ids and output_ids.
  Trace finish(Trace settings, const GenerateResult& result) const;

 private:
  Keep keep_ = Keep::kCommitting;
  std::vector<TraceForward> forwards_;
};

}  // namespace fdllm
