#include "fastdllm/infill.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/check.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/generate/generate_progress.h"
#include "cli/generate/prompts.h"
#include "cli/generate/results.h"
#include "cli/interrupt.h"
#include "cli/options/engine_flags.h"
#include "cli/options/generate_flags.h"
#include "cli/terminal/display_text.h"
#include "cli/terminal/load_view.h"
#include "cli/terminal/terminal_region.h"
#include "engine/option_json.h"
#include "fields/values.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplace = Json::error_handler_t::replace;

struct InfillFlags {
  EngineFlags engine;
  std::optional<std::string> text, text_file, texts, prompt;
  GenerateOptions options;
  bool json = false;
};

/// One text that is to be filled in.
struct InfillSpec {
  std::string where;
  Json id;
  std::string text;
  std::optional<std::string> prompt;
};

void read_field(InfillSpec& spec, const std::string& name, const nlohmann::json& value) {
  if (name == "text") {
    spec.text = fields::read_text(name, value);
  } else if (name == "prompt") {
    spec.prompt = fields::read_text(name, value);
  } else if (name == "id" && !value.is_structured()) {
    spec.id = value;
  } else {
    fail(ErrorCode::kInvalidArgument,
         "'{}': unknown field; known are text, prompt, and id, a string or a number",
         fields::shown(name));
  }
}

InfillSpec read_line(const std::string& line, std::string where) {
  InfillSpec spec;
  spec.where = std::move(where);
  const nlohmann::json object = parse_json(line, spec.where, {.max_depth = 16});
  if (!object.is_object() || !object.contains("text")) {
    fail(ErrorCode::kInvalidArgument, "{}: expected an object with 'text'", spec.where);
  }
  for (const auto& [name, value] : object.items()) {
    try {
      read_field(spec, name, value);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", spec.where, error.what());
    }
  }
  return spec;
}

std::vector<InfillSpec> read_lines(const std::string& file) {
  std::vector<InfillSpec> specs;
  std::istringstream lines(read_text(file));
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      specs.push_back(read_line(line, fmt::format("{}:{}", file, number)));
    } catch (const Error& error) {
      fail(ErrorCode::kInvalidArgument, "{}", error.what());
    }
  }
  if (specs.empty()) fail(ErrorCode::kInvalidArgument, "--texts {}: holds no line", file);
  return specs;
}

std::vector<InfillSpec> read_specs(const InfillFlags& flags) {
  const int sources =
      int{flags.text.has_value()} + int{flags.text_file.has_value()} + int{flags.texts.has_value()};
  if (sources > 1) {
    fail(ErrorCode::kInvalidArgument,
         "--text, --text-file and --texts contradict each other: give one");
  }
  if (flags.texts) {
    if (flags.prompt) {
      fail(ErrorCode::kInvalidArgument,
           "--prompt contradicts --texts, whose lines have prompts of their own");
    }
    return read_lines(*flags.texts);
  }
  InfillSpec spec;
  spec.prompt = flags.prompt;
  if (flags.text) {
    spec.where = "--text";
    spec.text = *flags.text == "-" ? read_text("-") : *flags.text;
  } else {
    spec.where = flags.text_file.value_or("stdin");
    spec.text = read_text(flags.text_file.value_or("-"));
  }
  return {std::move(spec)};
}

/// The tokens of the conversation before the text.
std::vector<std::int32_t> prompt_ids(const InfillSpec& spec, const Engine& engine) {
  if (!spec.prompt) return {};
  if (!engine.has_chat_template()) {
    fail(ErrorCode::kInvalidArgument,
         "{}: a prompt needs a chat template, which this model has not; put it into the text",
         spec.where);
  }
  const ChatMessage message{"user", *spec.prompt};
  return engine.tokenize(engine.apply_chat_template(std::span(&message, 1)));
}

Json result_json(const InfillSpec& spec, const InfillResult& result) {
  Json json;
  if (!spec.id.is_null()) json["id"] = spec.id;
  if (result.error) {
    json["error"] = result.error->message;
    json["error_code"] = fdllm::name_of(result.error->code);
    return json;
  }
  json["text"] = result.text;
  json["holes"] = Json::array();
  for (const InfillResult::Hole& hole : result.holes) {
    json["holes"].push_back({{"text", hole.text}, {"ids", hole.ids}});
  }
  if (result.mean_log_confidence) json["mean_log_confidence"] = *result.mean_log_confidence;
  json["canvases"] = result.canvases;
  json["forwards"] = {{"refresh", result.refresh_forwards}, {"window", result.window_forwards}};
  json["seconds"] = result.seconds;
  json["settings"] = options_json(result.options);
  return json;
}

InfillBatch make_batch(Engine& engine, const std::vector<InfillSpec>& specs,
                       const GenerateOptions& options) {
  std::vector<InfillText> texts;
  for (const InfillSpec& spec : specs) {
    texts.emplace_back(engine, parse_hole_text(spec.text, spec.where), prompt_ids(spec, engine),
                       spec.where);
  }
  InfillBatch batch(engine, std::move(texts), options);
  tell_ignored(options, batch.canvases().front().request.options());
  return batch;
}

std::vector<InfillResult> fill_in(InfillBatch& batch, ShowProgress show) {
  catch_signals();
  std::vector<std::int64_t> masks;
  for (const InfillCanvas& canvas : batch.canvases()) {
    masks.push_back(canvas.request.masks());
  }
  GenerateProgress progress(show, std::move(masks));
  auto results = batch.generate(
      [&](const StepEvent& event) {
        progress.on_step(event);
        return !interrupted();
      },
      [&](std::size_t canvas, const GenerateResult&) { progress.on_result(canvas); },
      [&](const ForwardProgress& forward) {
        progress.on_forward(forward);
        return !interrupted();
      });
  progress.clear();
  return results;
}

void print(const InfillSpec& spec, const InfillResult& result, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", result_json(spec, result).dump(-1, ' ', false, kReplace));
  } else if (result.error) {
    std::fflush(stdout);
    fmt::print(stderr, "fast-dllm: error: {}: {}\n", spec.where, result.error->message);
  } else {
    fmt::print("{}\n", is_terminal(STDOUT_FILENO) ? printable(result.text) : result.text);
  }
}

void print_summary(const std::vector<InfillResult>& results) {
  std::int64_t tokens = 0, refresh = 0, window = 0;
  double seconds = 0;
  for (const InfillResult& result : results) {
    for (const InfillResult::Hole& hole : result.holes) tokens += std::ssize(hole.ids);
    refresh += result.refresh_forwards;
    window += result.window_forwards;
    seconds = std::max(seconds, result.seconds);
  }
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", summary(tokens, refresh, window, seconds));
}

int run_infill(const InfillFlags& flags) {
  if (flags.options.gen_length) {
    fail(ErrorCode::kInvalidArgument,
         "--gen-length: the holes have their own lengths; leave it out");
  }
  if (!flags.options.stop.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "--stop: text after the holes is given and can't be cut; leave it out");
  }
  const std::vector<InfillSpec> specs = read_specs(flags);
  Engine engine = load_engine(flags.engine);
  InfillBatch batch = make_batch(engine, specs, flags.options);
  const std::vector<InfillResult> results = fill_in(batch, flags.engine.progress);
  RequestFailures failures;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (results[i].error) failures.add(results[i].error->code);
    print(specs[i], results[i], flags.json);
  }
  if (!flags.json) print_summary(results);
  return interrupted() ? kExitCancelled : failures.code();
}

}  // namespace

CommandBody add_infill(CLI::App& app) {
  const auto flags = std::make_shared<InfillFlags>();
  app.footer(
      "A hole is <|hole:N|>, N tokens, or <|hole:A-B|>: of A to B tokens that many whose tokens "
      "are "
      "the most probable on average, for which every length is decoded. Everything else is kept.");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  const char* group = "Text (one of them; default: stdin)";
  app.add_option("--text", flags->text, "the text with its holes (-: stdin)")
      ->type_name("T")
      ->group(group);
  app.add_option("--text-file", flags->text_file, "the same from a file (-: stdin)")
      ->type_name("F")
      ->group(group);
  app.add_option("--texts", flags->texts,
                 "JSON lines (-: stdin), batched, results in their order: {\"text\", \"prompt\"?, "
                 "\"id\"?}")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_option("--prompt", flags->prompt,
                 "the user's message that the text answers; put before it by the chat template")
      ->type_name("T");
  app.add_flag("--json", flags->json, "print one JSON object a text");
  add_generate_options(app, flags->options);
  flags->engine.add_engine_options(app);
  return [flags] { return run_infill(*flags); };
}

}  // namespace fdllm::cli
