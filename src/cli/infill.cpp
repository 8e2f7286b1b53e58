#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "fastdllm/engine.h"

#include "base/check.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/display_text.h"
#include "cli/engine_flags.h"
#include "cli/exit_code.h"
#include "cli/generate_flags.h"
#include "cli/generate_progress.h"
#include "cli/interrupt.h"
#include "cli/load_view.h"
#include "cli/prompts.h"
#include "cli/results.h"
#include "cli/terminal_region.h"
#include "engine/hole_text.h"
#include "engine/infill_text.h"
#include "engine/option_json.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

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

/// One way to fill it: a length for each hole.
struct Candidate {
  std::size_t spec;
  std::vector<std::int32_t> lengths;
  ResolvedRequest request;
  double log_confidence = 0;  ///< sum over the tokens of the holes
};

std::string text_field(const nlohmann::json& line, const char* name, const std::string& where) {
  if (!line.at(name).is_string()) {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': expected a string, found {}", where, name,
         line.at(name).type_name());
  }
  return line.at(name).get<std::string>();
}

std::vector<InfillSpec> read_lines(const std::string& file) {
  std::vector<InfillSpec> specs;
  std::istringstream lines(read_text(file));
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    InfillSpec spec;
    spec.where = fmt::format("{}:{}", file, number);
    nlohmann::json object;
    try {
      object = parse_json(line, spec.where, {.max_depth = 16});
    } catch (const Error& error) {
      fail(ErrorCode::kInvalidArgument, "{}", error.what());
    }
    if (!object.is_object() || !object.contains("text")) {
      fail(ErrorCode::kInvalidArgument, "{}: expected an object with 'text'", spec.where);
    }
    for (const auto& [name, value] : object.items()) {
      if (name == "text" || name == "prompt") continue;
      if (name != "id" || value.is_structured()) {
        fail(ErrorCode::kInvalidArgument,
             "{}: '{}': unknown field; known are text, prompt, and id, a string or a number",
             spec.where, name);
      }
      spec.id = value;
    }
    spec.text = text_field(object, "text", spec.where);
    if (object.contains("prompt")) spec.prompt = text_field(object, "prompt", spec.where);
    specs.push_back(std::move(spec));
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

double mean_log_confidence(const Candidate& candidate) {
  return candidate.log_confidence / static_cast<double>(candidate.request.masks());
}

Json candidate_json(const InfillSpec& spec, const InfillText& infill, const Candidate& best,
                    const GenerateResult& result, bool with_confidence) {
  Json json;
  if (!spec.id.is_null()) json["id"] = spec.id;
  json["text"] = "";
  json["holes"] = Json::array();
  std::string text;
  const auto places = infill.places(best.lengths);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string part = infill.text_of(i, places[i], result.output_ids);
    text += part;
    if (!infill.parts()[i].is_hole()) continue;
    const auto canvas = result.output_ids.begin();
    const std::vector<std::int32_t> ids(canvas + places[i].begin, canvas + places[i].end);
    json["holes"].push_back({{"text", part}, {"ids", ids}});
  }
  json["text"] = text;
  if (with_confidence) json["mean_log_confidence"] = mean_log_confidence(best);
  return json;
}

/// All texts of a run: their canvases, decoded as one batch, and the surest canvas of each.
class InfillRun {
 public:
  InfillRun(const InfillFlags& flags, std::vector<InfillSpec> specs)
      : flags_(flags), specs_(std::move(specs)), engine_(load_engine(flags.engine)) {
    for (std::size_t i = 0; i < specs_.size(); ++i) add(i);
    tell_ignored(flags.options, candidates_.front().request.options());
  }

  int run() {
    std::vector<ResolvedRequest> requests;
    for (const Candidate& candidate : candidates_) requests.push_back(candidate.request);
    catch_signals();
    std::vector<std::int64_t> masks;
    for (const ResolvedRequest& request : requests) masks.push_back(request.masks());
    GenerateProgress progress(flags_.engine.progress, std::move(masks));
    results_ = engine_.generate(
        requests,
        [&](const StepEvent& event) {
          for (const TokenEvent& token : event.committed) {
            // A probability may round to 0.
            candidates_[event.request].log_confidence +=
                std::log(std::max(token.confidence, std::numeric_limits<double>::min()));
          }
          progress.on_step(event);
          return !interrupted();
        },
        [&](std::size_t request, const GenerateResult&) { progress.on_result(request); },
        [&](const ForwardProgress& forward) {
          progress.on_forward(forward);
          return !interrupted();
        });
    progress.clear();
    for (std::size_t i = 0; i < specs_.size(); ++i) print(i);
    if (!flags_.json) print_summary();
    return interrupted() ? kExitCancelled : failures_.code();
  }

 private:
  void add(std::size_t index) {
    const InfillSpec& spec = specs_[index];
    texts_.emplace_back(engine_, parse_hole_text(spec.text, spec.where), prompt_ids(spec, engine_),
                        spec.where);
    const auto lists = hole_lengths(texts_.back().parts(), kMaxCanvases, spec.where);
    for (const auto& lengths : lists) {
      GenerateRequest request = texts_.back().canvas(lengths);
      request.options = flags_.options;
      candidates_.push_back({index, lengths, engine_.resolve(std::move(request))});
      if (lists.size() > 1 && !candidates_.back().request.confidence_is_probability()) {
        fail(ErrorCode::kInvalidArgument,
             "{}: a hole with bounds takes the length whose tokens are the most probable, but with "
             "this unmasking rule confidences are no probabilities; give a length, or another rule",
             spec.where);
      }
    }
  }

  void print(std::size_t index) {
    const Candidate* best = nullptr;
    std::size_t canvases = 0;
    double seconds = 0;
    std::int64_t refresh = 0, window = 0;
    std::optional<Failure> error;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& candidate = candidates_[i];
      const GenerateResult& result = results_[i];
      if (candidate.spec != index) continue;
      ++canvases;
      seconds = std::max(seconds, result.seconds);
      seconds_ = std::max(seconds_, seconds);
      refresh += result.refresh_forwards;
      window += result.window_forwards;
      if (result.finish_reason != FinishReason::kLength) {
        error = result.error.value_or(Failure{ErrorCode::kCancelled, "cancelled"});
      } else if (best == nullptr || mean_log_confidence(candidate) > mean_log_confidence(*best)) {
        best = &candidate;
      }
    }
    refresh_ += refresh;
    window_ += window;
    const InfillSpec& spec = specs_[index];
    if (error || best == nullptr) {
      print_error(spec, error.value_or(Failure{}));
      return;
    }
    tokens_ += best->request.masks();
    const GenerateResult& result = results_[static_cast<std::size_t>(best - candidates_.data())];
    const bool with_confidence = best->request.confidence_is_probability();
    Json json = candidate_json(spec, texts_[index], *best, result, with_confidence);
    if (!flags_.json) {
      const auto text = json["text"].get<std::string>();
      fmt::print("{}\n", is_terminal(STDOUT_FILENO) ? printable(text) : text);
      return;
    }
    json["canvases"] = canvases;
    json["forwards"] = {{"refresh", refresh}, {"window", window}};
    json["seconds"] = seconds;
    json["settings"] = options_json(best->request.options());
    fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  void print_error(const InfillSpec& spec, const Failure& error) {
    failures_.add(error.code);
    if (flags_.json) {
      Json json;
      if (!spec.id.is_null()) json["id"] = spec.id;
      json["error"] = error.message;
      json["error_code"] = fdllm::name_of(error.code);
      fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
      return;
    }
    std::fflush(stdout);
    fmt::print(stderr, "fast-dllm: error: {}: {}\n", spec.where, error.message);
  }

  void print_summary() const {
    std::fflush(stdout);
    fmt::print(stderr, "{}\n", summary(tokens_, refresh_, window_, seconds_));
  }

  const InfillFlags& flags_;
  std::vector<InfillSpec> specs_;
  Engine engine_;
  std::vector<InfillText> texts_;  // of each spec
  std::vector<Candidate> candidates_;
  std::vector<GenerateResult> results_;  // of each candidate
  std::int64_t tokens_ = 0, refresh_ = 0, window_ = 0;
  double seconds_ = 0;
  RequestFailures failures_;
};

int run_infill(const InfillFlags& flags) {
  if (flags.options.gen_length) {
    fail(ErrorCode::kInvalidArgument,
         "--gen-length: the holes have their own lengths; leave it out");
  }
  if (!flags.options.stop.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "--stop: text after the holes is given and can't be cut; leave it out");
  }
  return InfillRun(flags, read_specs(flags)).run();
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
