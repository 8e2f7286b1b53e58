#include "cli/bench/bench_flags.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/host.h"
#include "bench/shapes.h"
#include "cli/terminal/load_view.h"

namespace fdllm::cli {

using Json = nlohmann::ordered_json;

void BenchModelFlags::add_options(CLI::App& app) {
  const char* group = "Model (one of them)";
  app.add_option("--shape", choice.shape,
                 "random weights of a known model's shape, made in memory: " + bench::shape_names())
      ->type_name("S")
      ->group(group);
  app.add_option_function<std::string>(
         "--model",
         [this](const std::string& model) {
           choice.path = find_model(model);
           choice.name = served_name(model);
         },
         kModelHelp)
      ->type_name("DIR")
      ->group(group);
  app.add_option("--layers", choice.layers, "with --shape: so many layers instead of its own")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}).description(""))
      ->type_name("N")
      ->group(group);
}

std::string model_text(const bench::BenchModel& model) {
  const ModelConfig& config = model.config();
  std::string text = model.name();
  if (model.has_random_weights()) {
    text += ", random weights";
    if (config.layers != model.whole_layers()) {
      text += fmt::format(", ONLY {} of its {} layers", config.layers, model.whole_layers());
    }
  }
  return text +
         fmt::format(", {:.2f} G parameters", 1e-9 * static_cast<double>(model.info().parameters));
}

bench::BenchModel load_bench_model(const bench::ModelChoice& choice, const EngineFlags& engine) {
  const bool is_random = choice.path.empty();
  LoadView view(is_random ? choice.shape : short_name(choice.path), engine.progress,
                is_random ? LoadView::Size::kLarge : size_of(choice.path));
  return bench::BenchModel(choice, engine.options, view.listener());
}

bench::BenchListener BenchView::listener() {
  if (!line_.is_live()) return {};
  return [this](const bench::BenchProgress& progress) {
    if (!line_.is_due()) return;
    const double share = static_cast<double>(progress.done) /
                         static_cast<double>(std::max<std::int64_t>(progress.total, 1));
    ProgressText text{
        .what = "measuring",
        .share = share,
        .figures = fmt::format("{} of {} {}", progress.done, progress.total, progress.what),
        .seconds_left = seconds_left(line_.seconds(), share)};
    if (!progress.part.empty()) text.figures += ", " + progress.part;
    line_.show(text);
  };
}

Json model_json(bench::BenchModel& model, const EngineOptions& engine) {
  const ModelConfig& config = model.config();
  Json json;
  json["model"] = model.name();
  json["random_weights"] = model.has_random_weights();
  json["family"] = config.family;
  json["layers"] = config.layers;
  json["whole_layers"] = model.whole_layers();
  json["parameters"] = model.info().parameters;
  json["weights"] = name_of(model.info().weights);
  json["backend"] = model.backend().description();
  json["threads"] = bench::thread_count(engine);
  json["cpu"] = bench::cpu_name();
  json["weight_bytes"] = model.transformer().weight_bytes();
  json["load_seconds"] = model.load_seconds();
  return json;
}

Json peaks_json(const MachinePeaks& peaks) {
  return {{"f32_gflops", 1e-9 * peaks.f32},
          {"bf16_gflops", 1e-9 * peaks.bf16},
          {"int8_gops", 1e-9 * peaks.int8},
          {"read_gbps", 1e-9 * peaks.read_bandwidth}};
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace fdllm::cli
