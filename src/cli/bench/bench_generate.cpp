#include <algorithm>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/system_memory.h"
#include "bench/generate.h"
#include "bench/host.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"
#include "cli/generate/results.h"
#include "cli/options/generate_flags.h"
#include "engine/option_json.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchGenerateFlags {
  BenchModelFlags model;
  EngineFlags engine;
  bench::GenerateSettings settings;
  bool json = false;
};

double per_second(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::int64_t forwards_of(const bench::GenerateReport& report) {
  return report.refresh.count + report.window.count + report.mixed.count;
}

/// Tokens that a forward of one request committed, on average.
double tokens_per_forward(const bench::GenerateReport& report, std::int32_t batch) {
  return static_cast<double>(report.committed) /
         static_cast<double>(std::max<std::int64_t>(forwards_of(report), 1)) / batch;
}

Json times_json(const bench::ForwardTimes& times) {
  return {
      {"count", times.count}, {"seconds", times.seconds}, {"mean_ms", 1e3 * times.mean_seconds()}};
}

void print_generate_json(const BenchGenerateFlags& flags, bench::BenchModel& model,
                         const bench::GenerateReport& report) {
  Json json;
  json["command"] = "bench generate";
  json.update(model_json(model, flags.engine.options));
  json["prompt_length"] = report.prompt_length;
  json["batch"] = flags.settings.batch;
  json["warmup"] = flags.settings.warmup;
  json["row_budget"] = flags.engine.options.row_budget;
  json["settings"] = options_json(report.options);
  json["seconds"] = report.seconds;
  json["forwards"] = {{"refresh", times_json(report.refresh)},
                      {"window", times_json(report.window)},
                      {"mixed", times_json(report.mixed)}};
  json["tokens"] = report.committed;
  json["tokens_per_second"] = per_second(report.committed, report.seconds);
  json["tokens_per_forward"] = tokens_per_forward(report, flags.settings.batch);
  json["useful_tokens"] = report.useful;
  json["useful_tokens_per_second"] = per_second(report.useful, report.seconds);
  json["peak_rss_anon_bytes"] = report.peak_memory;
  print_json(json);
}

void print_generate_text(const BenchGenerateFlags& flags, bench::BenchModel& model,
                         const bench::GenerateReport& report) {
  fmt::print("{}\n", model_text(model));
  fmt::print("{} weights, {}, {}\n", name_of(model.info().weights), model.backend().description(),
             bench::cpu_name());
  const GenerateOptions& options = report.options;
  fmt::print("{} request{}: prompt {}, generation {}, {}, cache {}\n", flags.settings.batch,
             flags.settings.batch == 1 ? "" : "s of", report.prompt_length,
             options.gen_length.value_or(kDefaultGenLength),
             options.block_length ? fmt::format("block {}", *options.block_length)
                                  : std::string("the model's blocks"),
             find_generate_option("cache")->text(options).value_or(""));
  fmt::print("weights {} in {:.2f} s; anonymous memory at most {}\n\n",
             bytes_text(model.transformer().weight_bytes()), model.load_seconds(),
             bytes_text(report.peak_memory));
  fmt::print("{:<10}{:>10}{:>12}{:>12}\n", "forwards", "count", "seconds", "mean ms");
  const auto row = [](const char* name, const bench::ForwardTimes& times) {
    if (times.count == 0) return;
    fmt::print("{:<10}{:>10}{:>12.3f}{:>12.2f}\n", name, times.count, times.seconds,
               1e3 * times.mean_seconds());
  };
  row("refresh", report.refresh);
  row("window", report.window);
  row("mixed", report.mixed);
  fmt::print("{:<10}{:>10}{:>12.3f}\n\n", "all", forwards_of(report), report.seconds);
  fmt::print("{} tokens unmasked, {:.2f} a forward of each request: {:.2f} tokens/s\n",
             report.committed, tokens_per_forward(report, flags.settings.batch),
             per_second(report.committed, report.seconds));
  if (model.has_random_weights()) return;
  fmt::print("{} of them before the end tokens: {:.2f} useful tokens/s\n", report.useful,
             per_second(report.useful, report.seconds));
}

int run_bench_generate(const BenchGenerateFlags& flags) {
  bench::BenchModel model = load_bench_model(flags.model.choice, flags.engine);
  BenchView view(flags.engine);
  bench::GenerateSettings settings = flags.settings;
  settings.on_progress = view.listener();
  const auto report = bench::run_generate(model, settings);
  view.clear();
  if (flags.json) {
    print_generate_json(flags, model, report);
  } else {
    print_generate_text(flags, model, report);
  }
  return 0;
}

}  // namespace

CommandBody add_bench_generate(CLI::App& app) {
  const auto flags = std::make_shared<BenchGenerateFlags>();
  app.footer(
      "Random weights are never sure of a token: they need --tokens-per-forward or --steps, and\n"
      "they fill the whole canvas. A real model stops at its end token unless --no-eos-stop is\n"
      "given. Time runs from the first forward to the last token, without loading.");
  flags->model.add_options(app);
  app.add_option(
         "--prompt-length", flags->settings.prompt_length,
         fmt::format("random tokens of each prompt (default {})", bench::kDefaultPromptLength))
      ->type_name("N");
  app.add_option("--prompt", flags->settings.prompt,
                 "with --model: the user's message, instead of random tokens")
      ->type_name("T");
  app.add_option("--batch", flags->settings.batch, "requests that run together (default 1)")
      ->type_name("N");
  app.add_option("--warmup", flags->settings.warmup,
                 "whole runs before the one that is timed (default 0)")
      ->type_name("N");
  app.add_flag("--json", flags->json, "print one JSON object");
  add_generate_options(app, flags->settings.options);
  flags->engine.add_engine_options(app);
  return [flags] { return run_bench_generate(*flags); };
}

}  // namespace fdllm::cli
