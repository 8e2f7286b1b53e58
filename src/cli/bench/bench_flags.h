#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "bench/machine.h"
#include "bench/model.h"
#include "bench/progress.h"
#include "cli/options/engine_flags.h"
#include "cli/terminal/progress_line.h"

namespace fdllm::cli {

/// The model of a bench command: --shape, --model, --layers.
struct BenchModelFlags {
  bench::ModelChoice choice;

  void add_options(CLI::App& app);
};

/// "llada-8b, random weights, 4 of its 32 layers, 1.02 G parameters"
std::string model_text(const bench::BenchModel& model);

/// The model that the flags choose, made or loaded in view.
bench::BenchModel load_bench_model(const bench::ModelChoice& choice, const EngineFlags& engine);

/// A line on stderr for a measurement; it is removed when the measurement has ended.
class BenchView {
 public:
  explicit BenchView(const EngineFlags& engine) : line_(engine.progress) {}
  /// Empty where nothing is shown.
  bench::BenchListener listener();
  void clear() { line_.clear(); }

 private:
  ProgressLine line_;
};

/// The fields that every bench command's JSON has: the model, what computes, and memory.
nlohmann::ordered_json model_json(bench::BenchModel& model, const EngineOptions& engine);
nlohmann::ordered_json peaks_json(const MachinePeaks& peaks);

/// One line of JSON on stdout.
void print_json(const nlohmann::ordered_json& json);

}  // namespace fdllm::cli
