#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/generate/generate_progress.h"
#include "cli/generate/prompts.h"
#include "cli/generate/results.h"
#include "cli/interrupt.h"
#include "cli/options/engine_flags.h"
#include "cli/options/generate_flags.h"
#include "cli/terminal/canvas_view.h"
#include "cli/terminal/display_text.h"
#include "cli/terminal/load_view.h"

namespace fdllm::cli {
namespace {

struct GenerateFlags {
  EngineFlags engine;
  GenerateOptions options;
  std::optional<std::string> prompt, prompt_file, prompt_ids, prompts;
  std::optional<std::string> system;
  bool raw = false;
  bool json = false;
  bool visual = false;
  std::int64_t visual_delay = 60;
  std::string trace;
};

std::vector<PromptSpec> read_prompts(const GenerateFlags& flags) {
  PromptSpec spec;
  spec.options = flags.options;
  spec.raw = flags.raw;
  spec.system = flags.system;
  if (flags.prompts) {
    const std::string source = *flags.prompts == "-" ? "stdin" : *flags.prompts;
    return parse_prompt_lines(read_text(*flags.prompts), source, spec);
  }
  if (flags.prompt_ids) {
    spec.where = "--prompt-ids";
    spec.ids =
        parse_token_ids(*flags.prompt_ids == "-" ? read_text("-") : *flags.prompt_ids, spec.where);
  } else if (flags.prompt_file) {
    spec.where = *flags.prompt_file == "-" ? "stdin" : *flags.prompt_file;
    spec.text = read_text(*flags.prompt_file);
  } else if (flags.prompt && *flags.prompt != "-") {
    spec.where = "--prompt";
    spec.text = *flags.prompt;
  } else {
    if (!flags.prompt && is_terminal(STDIN_FILENO)) {
      fail(ErrorCode::kInvalidArgument,
           "no prompt: give --prompt, --prompt-file, --prompt-ids or --prompts, or pipe one in");
    }
    spec.where = "stdin";
    spec.text = read_text("-");
  }
  return {std::move(spec)};
}

/// Prints results in the order of the requests, each as soon as all before it have been.
class ResultWriter {
 public:
  ResultWriter(const GenerateFlags& flags, const ModelInfo& info, std::size_t count)
      : flags_(flags), info_(info), finished_(count), recorders_(count) {
    if (flags.trace.empty()) return;
    trace_.open(flags.trace, std::ios::binary | std::ios::trunc);
    if (!trace_) fail(ErrorCode::kNotFound, "--trace {}: cannot be written", flags.trace);
  }

  void record(const StepEvent& event) {
    if (trace_.is_open()) recorders_[event.request].add(event);
  }

  /// Takes a finished request. `before_print` runs with the number of the first request that is
  /// still awaited, before anything is printed.
  template <typename BeforePrint>
  void finish(std::size_t request, FinishedRequest finished, const BeforePrint& before_print) {
    finished_[request] = std::move(finished);
    std::size_t end = next_;
    while (end < finished_.size() && finished_[end]) ++end;
    if (end == next_) return;
    before_print(end);
    for (; next_ < end; ++next_) {
      print(*finished_[next_]);
      write_trace(next_);
      finished_[next_].reset();
      recorders_[next_] = {};
    }
    std::fflush(stdout);
  }

  int close(double seconds) {
    if (trace_.is_open()) {
      trace_.close();
      if (!trace_) fail(ErrorCode::kNotFound, "--trace {}: could not be written", flags_.trace);
    }
    // --json carries the figures itself.
    if (!flags_.json && refresh_ + window_ > 0) {
      std::fflush(stdout);
      if (finished_.size() > 1) fmt::print(stderr, "{} prompts: ", finished_.size());
      fmt::print(stderr, "{}\n", summary(tokens_, refresh_, window_, seconds));
    }
    return cancelled_ ? kExitCancelled : failures_.code();
  }

 private:
  void print(const FinishedRequest& finished) {
    const GenerateResult& result = finished.result;
    const bool is_error = result.finish_reason == FinishReason::kError;
    if (is_error) failures_.add(result.error->code);
    cancelled_ |= result.finish_reason == FinishReason::kCancelled;
    if (!is_error) {
      tokens_ += static_cast<std::int64_t>(result.ids.size());
      refresh_ += result.refresh_forwards;
      window_ += result.window_forwards;
    }
    if (flags_.json) {
      const auto json = result_json(finished, info_);
      fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return;
    }
    const std::string name = finished.id.is_null()     ? fmt::format("{}", next_ + 1)
                             : finished.id.is_string() ? finished.id.get<std::string>()
                                                       : finished.id.dump();
    if (finished_.size() > 1) fmt::print("{}==> {} <==\n", next_ > 0 ? "\n" : "", printable(name));
    if (is_error) {
      std::fflush(stdout);
      const std::string which = finished_.size() > 1 ? fmt::format("prompt {}: ", name) : "";
      fmt::print(stderr, "fast-dllm: error: {}{}\n", which, result.error->message);
    } else {
      fmt::print("{}\n", is_terminal(STDOUT_FILENO) ? printable(result.text) : result.text);
    }
  }

  void write_trace(std::size_t request) {
    const FinishedRequest& finished = *finished_[request];
    const FinishReason reason = finished.result.finish_reason;
    const bool whole = reason == FinishReason::kStop || reason == FinishReason::kLength;
    if (!trace_.is_open() || !whole) return;
    Trace trace =
        recorders_[request].finish(trace_settings(finished.options, info_), finished.result);
    trace.output_text = finished.result.text;
    trace_ << format_trace(trace) << '\n';
  }

  const GenerateFlags& flags_;
  const ModelInfo& info_;
  std::vector<std::optional<FinishedRequest>> finished_;
  std::vector<TraceRecorder> recorders_;
  std::ofstream trace_;
  std::size_t next_ = 0;
  std::int64_t tokens_ = 0, refresh_ = 0, window_ = 0;
  RequestFailures failures_;
  bool cancelled_ = false;
};

/// Throws kInvalidArgument for flags that contradict each other.
void check_flags(const GenerateFlags& flags) {
  if (flags.raw && flags.system) {
    fail(ErrorCode::kInvalidArgument,
         "--system contradicts --raw: a raw prompt has no chat template to put it in");
  }
  if (flags.prompt_ids && (flags.system || flags.raw)) {
    fail(ErrorCode::kInvalidArgument, "{} contradicts --prompt-ids, which are taken as they are",
         flags.raw ? "--raw" : "--system");
  }
  const int sources = int{flags.prompt.has_value()} + int{flags.prompt_file.has_value()} +
                      int{flags.prompt_ids.has_value()} + int{flags.prompts.has_value()};
  if (sources > 1) {
    fail(ErrorCode::kInvalidArgument,
         "--prompt, --prompt-file, --prompt-ids and --prompts contradict each other: give one");
  }
  if (flags.visual && flags.json) {
    fail(ErrorCode::kInvalidArgument, "--visual contradicts --json: both write to stdout");
  }
}

int run_generate(const GenerateFlags& flags) {
  check_flags(flags);
  const std::vector<PromptSpec> specs = read_prompts(flags);
  const bool visual = flags.visual && is_terminal(STDOUT_FILENO);
  if (flags.visual && !visual) {
    fmt::print(stderr, "fast-dllm: --visual is ignored: stdout is no terminal\n");
  }
  Engine engine = load_engine(flags.engine);
  std::vector<ResolvedRequest> requests;
  for (const PromptSpec& spec : specs) requests.push_back(make_request(spec, engine));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (tell_ignored(specs[i].options, requests[i].options())) break;
  }
  ResultWriter writer(flags, engine.info(), requests.size());
  std::optional<CanvasView> view;
  catch_signals();
  if (visual) {
    view.emplace(engine, requests,
                 CanvasView::Options{STDOUT_FILENO, std::chrono::milliseconds(flags.visual_delay),
                                     terminal_colours()});
  }
  std::vector<std::int64_t> masks;
  for (const ResolvedRequest& request : requests) masks.push_back(request.masks());
  GenerateProgress progress(flags.engine.progress, std::move(masks));
  double seconds = 0;
  engine.generate(
      requests,
      [&](const StepEvent& event) {
        writer.record(event);
        if (view) {
          progress.clear();
          view->on_step(event);
        } else {
          progress.on_step(event);
        }
        return !interrupted();
      },
      [&](std::size_t request, const GenerateResult& result) {
        progress.on_result(request);
        const double own = std::max(0.0, result.seconds - (view ? view->overhead() : 0));
        seconds = std::max(seconds, own);
        writer.finish(request, {specs[request].id, requests[request].options(), result, own},
                      [&](std::size_t next) {
                        progress.clear();
                        if (view) view->show_request(next);
                      });
      },
      [&](const ForwardProgress& forward) {
        if (!view || !view->is_open()) progress.on_forward(forward);
        return !interrupted();
      });
  progress.clear();
  return writer.close(seconds);
}

}  // namespace

CommandBody add_generate(CLI::App& app) {
  const auto flags = std::make_shared<GenerateFlags>();
  app.footer(
      "stdout carries only results; the closing line with forwards, tokens and tokens per second "
      "goes to stderr.");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  const char* group = "Prompt (one of them; default: stdin)";
  app.add_option("--prompt", flags->prompt, "the user's message (-: stdin)")
      ->type_name("T")
      ->group(group);
  app.add_option("--prompt-file", flags->prompt_file, "the same from a file (-: stdin)")
      ->type_name("F")
      ->group(group);
  app.add_option("--prompt-ids", flags->prompt_ids, "token ids, taken as they are (-: stdin)")
      ->type_name("1,2,3")
      ->group(group);
  app.add_option("--prompts", flags->prompts,
                 "JSON lines (-: stdin), batched, results in their order: {\"prompt\" | "
                 "\"prompt_ids\" | \"messages\", \"id\"?, \"system\"?, \"raw\"?, any decoding "
                 "option by its long name}")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_flag("--raw", flags->raw, "no chat template: the prompt is tokenized as it is");
  app.add_option("--system", flags->system, "system message")->type_name("T");
  app.add_flag("--json", flags->json, "print one JSON object a result");
  app.add_option("--trace", flags->trace,
                 "write a trace line a result, as fast-dllm verify reads them")
      ->type_name("F.jsonl");
  app.add_flag("--visual", flags->visual, "show the canvas denoising, where stdout is a terminal");
  app.add_option("--visual-delay", flags->visual_delay,
                 "pause after each frame, not counted in the speed (default 60)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{60000}).description(""))
      ->type_name("MS");
  add_generate_options(app, flags->options);
  flags->engine.add_engine_options(app);
  return [flags] { return run_generate(*flags); };
}

}  // namespace fdllm::cli
