#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "verify/trace.h"

namespace fdllm {

/// The request that replays a trace, to its last forward: nothing ends it early.
GenerateRequest replay_request(const Trace& trace);

/// Why a trace of this request can't be replayed (it was drawn at random, say), or nullopt.
std::optional<std::string> replay_obstacle(const Trace& trace, const ResolvedRequest& request);

/// Where a replay first differs from its trace, in a sentence, or nullopt where it is equal:
/// exactly the listed forwards (query range, committed positions and tokens as sets) and the
/// output. A trace that may end early is compared as far as it goes.
std::optional<std::string> first_divergence(const Trace& expected, const Trace& replayed);

struct ReplayOptions {
  std::filesystem::path models;                ///< holds the traces' models as folders
  std::optional<std::filesystem::path> model;  ///< use this one for every trace instead
  EngineOptions engine;
  /// How models are loaded: a caller may want to show it.
  std::function<Engine(const std::filesystem::path&, const EngineOptions&)> load =
      [](const std::filesystem::path& path, const EngineOptions& options) {
        return Engine::load(path, options);
      };
};

enum class ReplayOutcome : std::uint8_t { kPassed, kFailed, kNotReplayed };

/// Called for every trace: its "file:line", what became of it and, unless it passed, why.
using ReplayReport =
    std::function<void(const std::string& where, ReplayOutcome outcome, const std::string& why)>;

/// Replays traces, loading each model once. A trace that can't be loaded or run counts as failed.
class Replayer {
 public:
  Replayer(ReplayOptions options, ReplayReport report);

  /// Replays all traces of a file. Throws kNotFound where the file can't be opened and kCancelled
  /// where a load was.
  void run(const std::filesystem::path& file);

 private:
  void replay(const TraceLine& line);
  Engine& engine(const std::string& model);

  ReplayOptions options_;
  ReplayReport report_;
  std::map<std::string, Engine> engines_;
  std::map<std::string, std::string> load_errors_;
};

}  // namespace fdllm
