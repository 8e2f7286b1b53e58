#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/system_memory.h"
#include "bench/host.h"
#include "bench/machine.h"
#include "bench/step.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"

namespace fdllm::cli {
namespace {

using bench::Operation;
using bench::OperationCost;
using Json = nlohmann::ordered_json;

struct BenchStepFlags {
  BenchModelFlags model;
  EngineFlags engine;
  bench::StepSettings settings;
  std::optional<double> peak_f32, peak_bf16, peak_int8, bandwidth;  // G/s
  bool no_peaks = false;
  bool json = false;
};

/// What the operations are held against; nothing where --no-peaks leaves none.
std::optional<MachinePeaks> peaks_of(const BenchStepFlags& flags) {
  const int given = int{flags.peak_f32.has_value()} + int{flags.peak_bf16.has_value()} +
                    int{flags.peak_int8.has_value()} + int{flags.bandwidth.has_value()};
  if (flags.no_peaks && given > 0) {
    fail(ErrorCode::kInvalidArgument, "--no-peaks contradicts peaks that are given");
  }
  if (flags.no_peaks) return std::nullopt;
  MachinePeaks peaks;
  if (given < 4) peaks = bench::measure_machine(flags.engine.options);
  if (flags.peak_f32) peaks.f32 = 1e9 * *flags.peak_f32;
  if (flags.peak_bf16) peaks.bf16 = 1e9 * *flags.peak_bf16;
  if (flags.peak_int8) peaks.int8 = 1e9 * *flags.peak_int8;
  if (flags.bandwidth) peaks.read_bandwidth = 1e9 * *flags.bandwidth;
  return peaks;
}

struct StepResult {
  bench::StepReport report;
  std::optional<MachinePeaks> peaks;
  std::uint64_t peak_memory = 0;  ///< the most anonymous memory, loading included
};

/// Seconds of the forward that belong to no operation.
double other_seconds(const bench::StepReport& report) {
  double sum = 0;
  for (const OperationCost& cost : report.costs) sum += cost.seconds;
  return std::max(0.0, report.median_seconds - sum);
}

double per_second(double amount, double seconds) {
  return seconds > 0 ? amount / seconds : 0;
}

Json operation_json(Operation operation, const OperationCost& cost, const StepResult& result) {
  Json json;
  json["name"] = key_of(operation);
  json["ms"] = 1e3 * cost.seconds;
  json["share"] = per_second(cost.seconds, result.report.median_seconds);
  json["calls"] = cost.calls;
  json["gflop"] = 1e-9 * cost.flops;
  json["gflops"] = 1e-9 * per_second(cost.flops, cost.seconds);
  json["bytes"] = cost.bytes;
  json["gbps"] = 1e-9 * per_second(cost.bytes, cost.seconds);
  json["type"] = name_of(cost.type);
  if (result.peaks) {
    json["of_peak"] =
        per_second(cost.flops, cost.seconds * bench::peak_of(*result.peaks, cost.type));
    json["roofline_ms"] = 1e3 * bench::roofline_seconds(cost, *result.peaks);
  }
  return json;
}

Json roofline_json(const bench::RooflineSum& sum, double seconds) {
  return {{"ms", 1e3 * sum.roofline}, {"time_over_roofline", per_second(seconds, sum.roofline)}};
}

void print_step_json(const BenchStepFlags& flags, bench::BenchModel& model,
                     const StepResult& result) {
  const bench::StepReport& report = result.report;
  Json json;
  json["command"] = "bench step";
  json.update(model_json(model, flags.engine.options));
  json["rows"] = report.rows;
  json["attend"] = report.attend;
  json["score"] = report.score;
  json["repeat"] = flags.settings.repeat;
  json["warmup"] = flags.settings.warmup;
  json["ms"] = {{"median", 1e3 * report.median_seconds},
                {"min", 1e3 * report.min_seconds},
                {"max", 1e3 * report.max_seconds}};
  json["operations"] = Json::array();
  for (std::size_t i = 0; i < bench::kOperations; ++i) {
    const auto operation = static_cast<Operation>(i);
    json["operations"].push_back(operation_json(operation, report.costs[i], result));
  }
  json["other_ms"] = 1e3 * other_seconds(report);
  if (result.peaks) {
    const auto gemms = gemm_roofline(report.costs, *result.peaks);
    json["peaks"] = peaks_json(*result.peaks);
    json["gemms"] = {{"ms", 1e3 * gemms.seconds}, {"gflop", 1e-9 * gemms.flops}};
    json["roofline"] = {
        {"gemms", roofline_json(gemms, report.median_seconds)},
        {"all", roofline_json(total_roofline(report.costs, *result.peaks), report.median_seconds)}};
    json["compute_share"] =
        per_second(compute_seconds(report.costs, *result.peaks), report.median_seconds);
  }
  json["rss_anon_bytes"] = report.memory;
  json["peak_rss_anon_bytes"] = result.peak_memory;
  print_json(json);
}

void print_operations(const StepResult& result) {
  const bench::StepReport& report = result.report;
  fmt::print("{:<14}{:>10}{:>8}{:>10}{:>10}{:>11}{:>8}\n", "operation", "ms", "share", "GFLOP",
             "GFLOP/s", result.peaks ? "% of peak" : "", "GB/s");
  const auto number = [](double value, double least) {
    return value > least ? fmt::format("{:.1f}", value) : std::string();
  };
  for (std::size_t i = 0; i < bench::kOperations; ++i) {
    const OperationCost& cost = report.costs[i];
    if (cost.calls == 0) continue;
    std::string of_peak;
    if (result.peaks && cost.flops > 0) {
      of_peak = fmt::format(
          "{} {:.1f}", name_of(cost.type),
          100 * per_second(cost.flops, cost.seconds * bench::peak_of(*result.peaks, cost.type)));
    }
    fmt::print(
        "{:<14}{:>10.2f}{:>7.1f}%{:>10}{:>10}{:>11}{:>8}\n", name_of(static_cast<Operation>(i)),
        1e3 * cost.seconds, 100 * per_second(cost.seconds, report.median_seconds),
        number(1e-9 * cost.flops, 0.0), number(1e-9 * per_second(cost.flops, cost.seconds), 0),
        of_peak, number(1e-9 * per_second(cost.bytes, cost.seconds), 0));
  }
  fmt::print("{:<14}{:>10.2f}{:>7.1f}%\n", "other", 1e3 * other_seconds(report),
             100 * per_second(other_seconds(report), report.median_seconds));
  fmt::print("{:<14}{:>10.2f}   median; {:.2f} to {:.2f}\n", "forward", 1e3 * report.median_seconds,
             1e3 * report.min_seconds, 1e3 * report.max_seconds);
}

void print_step_text(const BenchStepFlags& flags, bench::BenchModel& model,
                     const StepResult& result) {
  const bench::StepReport& report = result.report;
  fmt::print("{}\n", model_text(model));
  fmt::print("{} weights, {}, {}\n", name_of(model.info().weights), model.backend().description(),
             bench::cpu_name());
  fmt::print("{} rows attending {}{}, {} scored; {} forward{} after {} to warm up\n", report.rows,
             report.attend, report.rows == report.attend ? " (a refresh)" : "", report.score,
             flags.settings.repeat, flags.settings.repeat == 1 ? "" : "s", flags.settings.warmup);
  fmt::print("weights {} in {:.2f} s; anonymous memory {}, at most {}\n",
             bytes_text(model.transformer().weight_bytes()), model.load_seconds(),
             bytes_text(report.memory), bytes_text(result.peak_memory));
  if (result.peaks) {
    fmt::print("peaks: f32 {:.1f}, bf16 {:.1f}, int8 {:.1f} GFLOP/s, memory {:.1f} GB/s\n",
               1e-9 * result.peaks->f32, 1e-9 * result.peaks->bf16, 1e-9 * result.peaks->int8,
               1e-9 * result.peaks->read_bandwidth);
  }
  fmt::print("\n");
  print_operations(result);
  if (!result.peaks) return;
  const auto gemms = gemm_roofline(report.costs, *result.peaks);
  const auto all = total_roofline(report.costs, *result.peaks);
  fmt::print("\nGEMMs         {:>10.2f} ms, {:.1f} GFLOP, roofline {:.2f} ms: {:.2f}x\n",
             1e3 * gemms.seconds, 1e-9 * gemms.flops, 1e3 * gemms.roofline, gemms.ratio());
  fmt::print("forward over the roofline of its GEMMs {:.2f}x, of all operations {:.2f}x\n",
             per_second(report.median_seconds, gemms.roofline),
             per_second(report.median_seconds, all.roofline));
  fmt::print("arithmetic at the peaks would take {:.2f} ms: {:.1f} % of the forward\n",
             1e3 * compute_seconds(report.costs, *result.peaks),
             100 * per_second(compute_seconds(report.costs, *result.peaks), report.median_seconds));
}

int run_bench_step(const BenchStepFlags& flags) {
  bench::check_choice(flags.model.choice);
  StepResult result;
  result.peaks = peaks_of(flags);
  bench::MemoryWatch watch;
  bench::BenchModel model = load_bench_model(flags.model.choice, flags.engine);
  BenchView view(flags.engine);
  bench::StepSettings settings = flags.settings;
  settings.on_progress = view.listener();
  result.report = bench::run_step(model, settings);
  view.clear();
  // K/V may be given back before the watch has seen them.
  result.peak_memory = std::max(watch.peak(), result.report.memory);
  if (flags.json) {
    print_step_json(flags, model, result);
  } else {
    print_step_text(flags, model, result);
  }
  return 0;
}

}  // namespace

CommandBody add_bench_step(CLI::App& app) {
  const auto flags = std::make_shared<BenchStepFlags>();
  app.footer(
      "GFLOP/s count a multiply-add as two. The roofline of an operation is the greater of its\n"
      "arithmetic at the peak of its type and its weights (attention: K and V) at the bandwidth "
      "of\n"
      "memory; what is neither a product nor attention counts nothing. Times are medians.");
  flags->model.add_options(app);
  app.add_option("--rows", flags->settings.rows, "rows of the forward (default 32)")
      ->type_name("N");
  app.add_option("--attend", flags->settings.attend,
                 "K/V rows that they attend; the rows are its last ones. As many as --rows: a "
                 "refresh (default 1024)")
      ->type_name("N");
  app.add_option("--score", flags->settings.score,
                 "rows for the head (default: all, of a refresh 32)")
      ->type_name("N");
  app.add_option("--repeat", flags->settings.repeat, "forwards that are measured (default 5)")
      ->type_name("N");
  app.add_option("--warmup", flags->settings.warmup, "forwards before them (default 1)")
      ->type_name("N");
  app.add_flag("--json", flags->json, "print one JSON object");
  const char* group = "Peaks (default: measured first)";
  const CLI::Validator positive = CLI::PositiveNumber.description("");
  app.add_option("--peak-f32", flags->peak_f32, "GFLOP/s")
      ->check(positive)
      ->type_name("G")
      ->group(group);
  app.add_option("--peak-bf16", flags->peak_bf16, "GFLOP/s")
      ->check(positive)
      ->type_name("G")
      ->group(group);
  app.add_option("--peak-int8", flags->peak_int8, "GOP/s, for int4 too")
      ->check(positive)
      ->type_name("G")
      ->group(group);
  app.add_option("--bandwidth", flags->bandwidth, "GB/s read from memory")
      ->check(positive)
      ->type_name("G")
      ->group(group);
  app.add_flag("--no-peaks", flags->no_peaks, "only times")->group(group);
  flags->engine.add_compute_options(app);
  return [flags] { return run_bench_step(*flags); };
}

}  // namespace fdllm::cli
