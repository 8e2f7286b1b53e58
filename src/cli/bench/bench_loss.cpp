#include "cli/bench/bench_loss.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "bench/loss.h"
#include "cli/bench/bench_flags.h"
#include "cli/generate/prompts.h"
#include "cli/options/engine_flags.h"
#include "cli/terminal/load_view.h"

namespace fdllm::cli {
namespace {

struct BenchLossFlags {
  EngineFlags engine;
  std::string data;
  bench::LossSettings settings;
  bench::LossTextOptions text;
  std::size_t lines = 0;  ///< 0: all
  bool json = false;
};

struct Example {
  std::string where;
  std::optional<std::string> prompt;
  std::string answer;
};

std::optional<std::string> text_of(const nlohmann::json& object, const char* field,
                                   std::string_view where) {
  const auto found = object.find(field);
  if (found == object.end()) return std::nullopt;
  if (!found->is_string()) {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': expected a string, found {}", where, field,
         found->type_name());
  }
  return found->get<std::string>();
}

/// Other fields are allowed: data sets have many.
Example parse_example(std::string_view line, std::string where) {
  nlohmann::json object;
  try {
    object = parse_json(line, where, {.max_depth = 16});
  } catch (const Error& error) {
    fail(ErrorCode::kInvalidArgument, "{}", error.what());
  }
  if (!object.is_object()) {
    fail(ErrorCode::kInvalidArgument, "{}: expected an object, found {}", where,
         object.type_name());
  }
  const auto question = text_of(object, "question", where);
  const auto prompt = text_of(object, "prompt", where);
  const auto answer = text_of(object, "answer", where);
  const auto text = text_of(object, "text", where);
  const bool pair = answer && (question.has_value() != prompt.has_value()) && !text;
  const bool alone = text && !question && !prompt && !answer;
  if (!pair && !alone) {
    fail(ErrorCode::kInvalidArgument,
         "{}: expected the fields 'question' (or 'prompt') and 'answer', or 'text'", where);
  }
  if (alone) return {std::move(where), std::nullopt, *text};
  return {std::move(where), question ? question : prompt, *answer};
}

std::vector<Example> read_examples(const BenchLossFlags& flags) {
  const std::string content = read_text(flags.data);
  std::vector<Example> examples;
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (flags.lines != 0 && examples.size() == flags.lines) break;
    examples.push_back(parse_example(line, fmt::format("{}:{}", flags.data, number)));
  }
  if (examples.empty()) fail(ErrorCode::kInvalidArgument, "{}: there is no text in it", flags.data);
  return examples;
}

void print_json(const bench::LossReport& report, const BenchLossFlags& flags,
                const ModelInfo& info) {
  nlohmann::ordered_json json;
  json["model"] = info.path;
  json["backend"] = info.backend;
  json["weights"] = name_of(flags.engine.options.weights);
  json["samples"] = flags.settings.samples;
  json["seed"] = flags.settings.seed;
  json["gen_length"] = flags.text.gen_length;
  json["tokens"] = report.tokens;
  json["masked"] = report.masked;
  json["right"] = report.right;
  // JSON has no infinity and no NaN: both become null.
  json["loss"] = report.nats;
  json["standard_error"] = report.standard_error;
  json["perplexity"] = std::exp(report.nats);
  json["texts"] = nlohmann::ordered_json::array();
  for (const bench::TextLoss& text : report.texts) {
    json["texts"].push_back({{"tokens", text.tokens}, {"loss", text.nats}});
  }
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int run_bench_loss(const BenchLossFlags& flags) {
  const std::vector<Example> examples = read_examples(flags);
  Engine engine = load_engine(flags.engine);
  std::vector<bench::LossText> texts;
  for (const Example& example : examples) {
    try {
      texts.push_back(bench::loss_text(engine, example.prompt, example.answer, flags.text));
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", example.where, error.what());
    }
    const std::size_t length = texts.back().prompt.size() + texts.back().answer.size();
    if (length > static_cast<std::size_t>(engine.info().max_positions)) {
      fail(ErrorCode::kInvalidArgument,
           "{}: the text has {} tokens, more than the {} positions that the model allows",
           example.where, length, engine.info().max_positions);
    }
  }
  BenchView view(flags.engine);
  bench::LossSettings settings = flags.settings;
  settings.on_progress = view.listener();
  const bench::LossReport report = bench::masked_loss(engine, texts, settings);
  view.clear();
  if (flags.json) {
    print_json(report, flags, engine.info());
  } else {
    fmt::print("loss {:.5f} +- {:.5f} nats a token (perplexity {:.4f}; +- is the standard error)\n",
               report.nats, report.standard_error, std::exp(report.nats));
    fmt::print(
        "{} of {} masked tokens likeliest ({:.2f} %); {} texts, {} tokens, {} maskings each\n",
        report.right, report.masked,
        100 * static_cast<double>(report.right) / static_cast<double>(report.masked),
        report.texts.size(), report.tokens, flags.settings.samples);
  }
  return 0;
}

}  // namespace

CommandBody add_bench_loss(CLI::App& app) {
  const auto flags = std::make_shared<BenchLossFlags>();
  app.footer(
      "Masks random tokens of every answer, as LLaDA's likelihood estimate does, and gives the "
      "mean "
      "of -log p of the masked ones. The maskings depend on the seed alone, so that weight formats "
      "and models with the same tokens can be compared closely.");
  app.add_option("--data", flags->data,
                 "JSON lines of {question or prompt, answer} or {text}; - reads stdin")
      ->required()
      ->type_name("FILE.jsonl");
  app.add_option("--samples", flags->settings.samples, "maskings of each text (default 8)")
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->type_name("N");
  app.add_option("--seed", flags->settings.seed, "seed of the maskings (default 0)")
      ->type_name("N");
  app.add_option("--lines", flags->lines, "only the first N lines")->type_name("N");
  app.add_option("--gen-length", flags->text.gen_length,
                 "pad answers with end tokens to N tokens, which are masked and measured too, as "
                 "in training (default: no padding)")
      ->check(CLI::Range(1, 1 << 24).description(""))
      ->type_name("N");
  app.add_flag("--raw", flags->text.raw, "prompts as they are, without the chat template");
  app.add_flag("--json", flags->json, "print one JSON object, with the loss of each text");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  flags->engine.add_engine_options(app);
  return [flags] { return run_bench_loss(*flags); };
}

}  // namespace fdllm::cli
