#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/cost_table.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"
#include "cli/bench/cost_file.h"

namespace fdllm::cli {
namespace {

struct BenchCostsFlags {
  BenchModelFlags model;
  EngineFlags engine;
  bench::CostSettings settings;
  bool json = false;
};

int run_bench_costs(const BenchCostsFlags& flags) {
  bench::check_choice(flags.model.choice);
  bench::BenchModel model = load_bench_model(flags.model.choice, flags.engine);
  BenchView view(flags.engine);
  bench::CostSettings settings = flags.settings;
  settings.on_progress = view.listener();
  const auto points = bench::measure_costs(model, settings);
  view.clear();
  if (flags.json) {
    nlohmann::ordered_json json;
    json["command"] = "bench costs";
    json.update(model_json(model, flags.engine.options));
    json["costs"] = cost_points_json(points);
    print_json(json);
    return 0;
  }
  fmt::print("{}\n{} weights, {}\n\n", model_text(model), name_of(model.info().weights),
             model.backend().description());
  fmt::print("{:>8}{:>10}{:>8}{:>12}{:>15}{:>10}\n", "rows", "attended", "scored", "ms",
             "attention ms", "head ms");
  for (const bench::CostPoint& point : points) {
    fmt::print("{:>8}{:>10}{:>8}{:>12.2f}{:>15.2f}{:>10.2f}\n", point.rows.query,
               point.rows.attended, point.rows.scored, 1e3 * point.seconds,
               1e3 * point.attention_seconds, 1e3 * point.head_seconds);
  }
  return 0;
}

}  // namespace

CommandBody add_bench_costs(CLI::App& app) {
  const auto flags = std::make_shared<BenchCostsFlags>();
  app.footer(
      "Times forwards of several numbers of rows. From its JSON, bench ladder --costs computes "
      "how\n"
      "long each row of the ladder would take with a model of that shape on this machine.");
  flags->model.add_options(app);
  app.add_option("--rows", flags->settings.rows,
                 "rows of the forwards (default 1,4,8,16,32,64,128,256,512,1152,2424)")
      ->delimiter(',')
      ->type_name("N,...");
  app.add_option("--attend", flags->settings.attend,
                 "K/V rows that they attend, or as many as there are rows (default 1152)")
      ->type_name("N");
  app.add_option("--seconds", flags->settings.seconds,
                 "that the forwards of one number of rows may take; one always runs (default 5)")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("S");
  app.add_flag("--json", flags->json, "print one JSON object");
  flags->engine.add_compute_options(app);
  return [flags] { return run_bench_costs(*flags); };
}

}  // namespace fdllm::cli
