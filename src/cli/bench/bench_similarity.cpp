#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "bench/similarity.h"
#include "bench/similarity_tables.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"
#include "cli/bench/output_folder.h"
#include "eval/data.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchSimilarityFlags {
  EngineFlags engine;
  bench::SimilaritySettings settings;
  std::vector<std::string> prompts;
  std::string data;
  std::size_t limit = 1;
  std::string out;
  bool json = false;
};

std::vector<std::string> questions_of(const BenchSimilarityFlags& flags) {
  if (flags.prompts.empty() == flags.data.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "give what to decode: either --prompt T or --data FILE (JSON lines with a 'question')");
  }
  if (!flags.prompts.empty()) return flags.prompts;
  std::vector<std::string> questions;
  for (const eval::DataLine& line : eval::read_data(flags.data).lines) {
    if (questions.size() == flags.limit) break;
    questions.push_back(line.text("question"));
  }
  return questions;
}

Json summary_json(const bench::RegionSummary& summary) {
  Json json;
  json["region"] = name_of(summary.region);
  for (std::size_t kind = 0; kind < 2; ++kind) {
    json[bench::kKvNames[kind]] = {{"step_before_mean", summary.mean[kind]},
                                   {"step_before_least", summary.least[kind]},
                                   {"refresh_mean", summary.refresh[kind]}};
  }
  return json;
}

void print_summaries(const std::vector<bench::RegionSummary>& summaries) {
  fmt::print("{:<16}{:>11}{:>11}{:>11}{:>11}{:>13}{:>13}\n", "cosine", "K mean", "K least",
             "V mean", "V least", "K to refresh", "V to refresh");
  for (const bench::RegionSummary& summary : summaries) {
    fmt::print("{:<16}{:>11.5f}{:>11.5f}{:>11.5f}{:>11.5f}{:>13.5f}{:>13.5f}\n",
               name_of(summary.region), summary.mean[0], summary.least[0], summary.mean[1],
               summary.least[1], summary.refresh[0], summary.refresh[1]);
  }
}

int run_bench_similarity(BenchSimilarityFlags& flags) {
  const auto questions = questions_of(flags);
  const OutputFolder out(flags.out);
  bench::BenchModel model = load_bench_model({.shape = {},
                                              .path = flags.engine.model_path(),
                                              .layers = {},
                                              .name = served_name(flags.engine.model)},
                                             flags.engine);
  for (const std::string& question : questions) {
    flags.settings.prompts.push_back(model.prompt_tokens(question));
  }
  BenchView view(flags.engine);
  flags.settings.on_progress = view.listener();
  const auto report = bench::run_similarity(model, flags.settings, flags.engine.options);
  view.clear();
  out.write("similarity.csv", bench::regions_csv(report));
  out.write("similarity_maps.csv", bench::maps_csv(report));
  const auto summaries = summarise(report);
  if (flags.json) {
    Json json;
    json["command"] = "bench similarity";
    json.update(model_json(model, flags.engine.options));
    json["prompts"] = questions.size();
    json["gen_length"] = flags.settings.gen_length;
    json["block_length"] = flags.settings.block_length;
    json["tokens_per_forward"] = flags.settings.tokens_per_forward;
    json["steps"] = report.steps;
    json["regions"] = Json::array();
    for (const auto& summary : summaries) json["regions"].push_back(summary_json(summary));
    print_json(json);
    return 0;
  }
  fmt::print(
      "{}: {} steps of {} prompt{}, each compared with the step before, and with the first "
      "forward of its block\n\n",
      model_text(model), report.steps, questions.size(), questions.size() == 1 ? "" : "s");
  print_summaries(summaries);
  if (!flags.out.empty()) fmt::print("\ntables are in {}\n", flags.out);
  return 0;
}

}  // namespace

CommandBody add_bench_similarity(CLI::App& app) {
  const auto flags = std::make_shared<BenchSimilarityFlags>();
  app.footer(
      "Decodes without a cache and compares the K and V rows of each forward with those of the\n"
      "forward before: the evidence for caching them. --out gets similarity.csv (each step, part\n"
      "of the canvas and layer) and similarity_maps.csv (any two steps); tools/plot.py draws "
      "them.");
  flags->engine.add_model_option(app);
  app.add_option("--prompt", flags->prompts, "a user's message; may be given again")
      ->type_name("T");
  app.add_option("--data", flags->data, "JSON lines with a 'question' instead")->type_name("FILE");
  app.add_option("--limit", flags->limit, "with --data: so many lines (default 1)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{100000}).description(""))
      ->type_name("N");
  app.add_option("--gen-length", flags->settings.gen_length, "masks after a prompt (default 256)")
      ->type_name("N");
  app.add_option("--block-length", flags->settings.block_length,
                 "positions of a block (default 32)")
      ->type_name("N");
  app.add_option("--tokens-per-forward", flags->settings.tokens_per_forward,
                 "tokens that a forward commits (default 1)")
      ->type_name("X");
  app.add_option("--rows", flags->settings.rows,
                 "rows of the prompt, and of the answer, that are compared, evenly spaced where "
                 "there are more (default 256)")
      ->type_name("N");
  app.add_option("--map-steps", flags->settings.map_steps,
                 "steps that the maps show at most (default 64)")
      ->type_name("N");
  app.add_option("--out", flags->out, "folder for the tables")->type_name("DIR");
  app.add_flag("--json", flags->json, "print one JSON object");
  flags->engine.add_engine_options(app);
  return [flags] { return run_bench_similarity(*flags); };
}

}  // namespace fdllm::cli
