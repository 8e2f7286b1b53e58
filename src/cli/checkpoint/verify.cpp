#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options/engine_flags.h"
#include "cli/terminal/load_view.h"
#include "cli/terminal/progress_line.h"
#include "verify/logits_check.h"
#include "verify/replay.h"

namespace fdllm::cli {
namespace {

struct VerifyFlags {
  EngineFlags engine;
  std::vector<std::string> traces;
  std::string models;
  std::string logits;
  double tolerance = 1e-4;
  bool verbose = false;
};

struct Counts {
  int passed = 0, failed = 0, not_replayed = 0;
};

void replay_traces(const VerifyFlags& flags, Counts& counts) {
  ReplayOptions options;
  options.models = flags.models;
  if (!flags.engine.model.empty()) options.model = find_model(flags.engine.model);
  options.engine = flags.engine.options;
  std::optional<ProgressLine> line;
  options.load = [&](const std::filesystem::path& path, const EngineOptions& engine_options) {
    line.reset();
    LoadView view(short_name(path), flags.engine.progress, size_of(path));
    return Engine::load(path, engine_options, view.listener());
  };
  Replayer replayer(
      options, [&](const std::string& where, ReplayOutcome outcome, const std::string& why) {
        if (outcome != ReplayOutcome::kPassed || flags.verbose) line.reset();
        switch (outcome) {
          case ReplayOutcome::kPassed:
            ++counts.passed;
            if (flags.verbose) fmt::print("pass {}\n", where);
            break;
          case ReplayOutcome::kFailed:
            ++counts.failed;
            // An error of the trace's own line says where by itself.
            fmt::print("FAIL {}\n", why.starts_with(where) ? why : where + ": " + why);
            break;
          case ReplayOutcome::kNotReplayed:
            ++counts.not_replayed;
            fmt::print("not replayed {}: {}\n", where, why);
            break;
        }
        std::fflush(stdout);
        if (!line) line.emplace(flags.engine.progress);
        line->show({.what = "replaying",
                    .figures = fmt::format("{} passed, {} failed", counts.passed, counts.failed)});
      });
  for (const std::string& file : flags.traces) replayer.run(file);
}

void compare_logits(const VerifyFlags& flags, Counts& counts) {
  Engine engine = load_engine(flags.engine);
  check_logits(flags.logits, engine, [&](const LogitsReport& report) {
    const bool passed = report.difference <= flags.tolerance;
    ++(passed ? counts.passed : counts.failed);
    fmt::print("{} {}: max|a-b| / max|b| = {:.3g}\n", passed ? "pass" : "FAIL", report.tensor,
               report.difference);
  });
}

int run_verify(const VerifyFlags& flags) {
  if (flags.traces.empty() && flags.logits.empty()) {
    fail(ErrorCode::kInvalidArgument, "nothing to verify: give trace files or --logits");
  }
  if (!flags.traces.empty() && flags.models.empty() == flags.engine.model.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "traces need either --models DIR, a folder with their models in it, or --model DIR, the "
         "model of all of them");
  }
  if (!flags.logits.empty() && flags.engine.model.empty()) {
    fail(ErrorCode::kInvalidArgument, "--logits needs --model DIR");
  }
  Counts counts;
  if (!flags.traces.empty()) replay_traces(flags, counts);
  if (!flags.logits.empty()) compare_logits(flags, counts);
  if (counts.not_replayed > 0) fmt::print("{} not replayed\n", counts.not_replayed);
  fmt::print("{} passed, {} failed\n", counts.passed, counts.failed);
  // A check that checked nothing must not look like one that passed.
  return counts.failed > 0 || counts.passed == 0 ? kExitFailed : 0;
}

}  // namespace

CommandBody add_verify(CLI::App& app) {
  const auto flags = std::make_shared<VerifyFlags>();
  // What is compared with f32 recordings is f32 unless something else is asked for.
  flags->engine.options.weights = WeightType::kF32;
  app.footer(
      "Replays recorded generations (greedy, EOS stop off, the reference's quirks on) and compares "
      "each forward's query range and committed tokens, and the output; or compares the logits of "
      "single forwards. The last line is `N passed, M failed`; exit code 1 if any failed.");
  app.add_option("traces", flags->traces, "trace files (JSON lines)")->type_name("TRACES.jsonl");
  app.add_option("--models", flags->models, "folder that holds the traces' models")
      ->type_name("DIR");
  app.add_option("--model", flags->engine.model,
                 "one checkpoint for all traces, and the one of --logits")
      ->type_name("DIR");
  app.add_option("--logits", flags->logits, "file of logits to compare with")
      ->type_name("F.safetensors");
  app.add_option("--tolerance", flags->tolerance,
                 "largest max|a-b| / max|b| of a tensor (default 1e-4)")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("X");
  app.add_flag("--verbose", flags->verbose, "name the traces that pass, too");
  flags->engine.add_engine_options(app);
  app.get_option("--weights")->description("weights and arithmetic (default f32)");
  return [flags] { return run_verify(*flags); };
}

}  // namespace fdllm::cli
