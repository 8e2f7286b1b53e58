#include <algorithm>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/host.h"
#include "bench/machine.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"

namespace fdllm::cli {
namespace {

struct BenchMachineFlags {
  EngineFlags engine;
  bool json = false;
};

int run_bench_machine(const BenchMachineFlags& flags) {
  EngineOptions options = flags.engine.options;
  std::vector<int> counts = {1};
  if (const int threads = bench::thread_count(options); threads != 1) counts.push_back(threads);
  std::vector<MachinePeaks> peaks;
  for (const int threads : counts) {
    options.threads = threads;
    peaks.push_back(bench::measure_machine(options));
  }
  if (flags.json) {
    nlohmann::ordered_json json;
    json["cpu"] = bench::cpu_name();
    json["isa"] = peaks.front().isa;
    json["peaks"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      nlohmann::ordered_json entry = {{"threads", counts[i]}};
      entry.update(peaks_json(peaks[i]));
      json["peaks"].push_back(std::move(entry));
    }
    print_json(json);
    return 0;
  }
  fmt::print("{}, {}\n\n{:<26}", bench::cpu_name(), peaks.front().isa, "");
  for (const int threads : counts) {
    fmt::print("{:>14}", fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"));
  }
  const auto row = [&](const char* name, double MachinePeaks::*peak) {
    fmt::print("\n{:<26}", name);
    for (const MachinePeaks& entry : peaks) fmt::print("{:>14.1f}", 1e-9 * (entry.*peak));
  };
  row("f32 FMA, GFLOP/s", &MachinePeaks::f32);
  row("bf16 dot, GFLOP/s", &MachinePeaks::bf16);
  row("int8 dot, GOP/s", &MachinePeaks::int8);
  row("memory read, GB/s", &MachinePeaks::read_bandwidth);
  fmt::print("\n");
  return 0;
}

}  // namespace

CommandBody add_bench_machine(CLI::App& app) {
  const auto flags = std::make_shared<BenchMachineFlags>();
  app.footer(
      "A multiply-add counts as two operations. Arithmetic is measured on registers; where the\n"
      "instruction set has no bf16 dot products, f32 stands for them.");
  app.add_flag("--json", flags->json, "print one JSON object");
  flags->engine.add_machine_options(app);
  return [flags] { return run_bench_machine(*flags); };
}

}  // namespace fdllm::cli
