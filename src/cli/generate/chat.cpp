#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/generate/generate_progress.h"
#include "cli/generate/results.h"
#include "cli/interrupt.h"
#include "cli/options/engine_flags.h"
#include "cli/options/generate_flags.h"
#include "cli/terminal/canvas_view.h"
#include "cli/terminal/display_text.h"
#include "cli/terminal/line_reader.h"
#include "cli/terminal/load_view.h"
#include "engine/answer_cut.h"
#include "engine/answer_stream.h"

namespace fdllm::cli {
namespace {

constexpr const char* kChatHelp =
    "/clear   forget the conversation\n"
    "/help    this list\n"
    "/exit    leave (so does Ctrl-D)\n"
    "A line that ends in \\ goes on in the next one. Ctrl-C cancels an answer.\n";

struct ChatFlags {
  EngineFlags engine;
  GenerateOptions options;
  std::optional<std::string> system;
  bool visual = false;
  std::int64_t visual_delay = 60;
};

class Chat {
 public:
  explicit Chat(const ChatFlags& flags)
      : flags_(flags),
        engine_(load_engine(flags.engine)),
        stdin_is_terminal_(is_terminal(STDIN_FILENO)),
        stdout_is_terminal_(is_terminal(STDOUT_FILENO)),
        reader_(STDIN_FILENO) {
    if (!engine_.has_chat_template()) {
      fail(ErrorCode::kUnsupported,
           "{}: has no chat template; fast-dllm generate --raw completes plain text",
           engine_.info().path);
    }
    if (const std::string& problem = engine_.info().chat_template_problem; !problem.empty()) {
      fail(ErrorCode::kUnsupported, "{}", problem);
    }
    // Options that the model's family doesn't take are an error now, not at the first message.
    tell_ignored(flags.options,
                 engine_.resolve({.prompt_ids = {}, .options = flags.options}).options());
    clear();
  }

  int run() {
    catch_signals();
    if (stdin_is_terminal_) {
      fmt::print(stderr, "{} on {}. /help lists the commands.\n", engine_.info().path,
                 engine_.info().backend);
    }
    std::string message;
    while (read_message(message)) {
      if (message == "/exit" || message == "/quit") break;
      if (message == "/clear") {
        clear();
        fmt::print(stderr, "(the conversation is forgotten)\n");
      } else if (message == "/help") {
        fmt::print(stderr, "{}", kChatHelp);
      } else if (message.starts_with('/') && message.find_first_of(" \n") == std::string::npos) {
        fmt::print(stderr, "(unknown command {}; /help lists them)\n", printable(message));
      } else if (!message.empty()) {
        answer(message);
      }
    }
    // Who sits at the terminal has seen what failed.
    return stdin_is_terminal_ ? 0 : failures_.code();
  }

 private:
  void clear() {
    history_.clear();
    if (flags_.system) history_.push_back({"system", *flags_.system});
  }

  /// false at the end of the input.
  bool read_message(std::string& message) {
    message.clear();
    while (true) {
      if (stdin_is_terminal_) {
        fmt::print(stderr, "{}", message.empty() ? "> " : ". ");
        std::fflush(stderr);
      }
      std::string line;
      const LineReader::Status status = reader_.read(line);
      if (status == LineReader::Status::kInterrupted) {
        if (interrupted()) fmt::print(stderr, "\n(/exit or Ctrl-D leaves)\n");
        clear_interrupt();
        message.clear();
        continue;
      }
      if (status == LineReader::Status::kEnd) {
        if (stdin_is_terminal_) fmt::print(stderr, "\n");
        return !message.empty();
      }
      const bool goes_on = line.ends_with('\\');
      if (goes_on) line.back() = '\n';
      message += line;
      if (goes_on) continue;
      while (!message.empty() && (message.back() == ' ' || message.back() == '\t')) {
        message.pop_back();
      }
      return true;
    }
  }

  void answer(const std::string& message) {
    history_.push_back({"user", message});
    try {
      GenerateRequest request;
      request.prompt_ids = engine_.tokenize(engine_.apply_chat_template(history_));
      request.options = flags_.options;
      if (generate(engine_.resolve(std::move(request)))) return;
    } catch (const Error& error) {
      failures_.add(error.code());
      fmt::print(stderr, "fast-dllm: error: {}\n", error.what());
      fmt::print(stderr,
                 "(the message is dropped, the conversation before it is kept; /clear "
                 "starts anew)\n");
    }
    history_.pop_back();
  }

  /// Shows the answer and adds it to the history; false where there is none.
  bool generate(const ResolvedRequest& request) {
    std::optional<CanvasView> view;
    if (flags_.visual && stdout_is_terminal_) {
      view.emplace(
          engine_, std::span(&request, 1),
          CanvasView::Options{STDOUT_FILENO, std::chrono::milliseconds(flags_.visual_delay),
                              terminal_colours()});
    }
    AnswerStream stream({static_cast<std::int32_t>(request.prompt_ids().size()), request.masks(),
                         engine_.info().end_tokens, request.options().stop,
                         token_bytes_of(engine_)});
    clear_interrupt();
    std::optional<GenerateProgress> progress;  // until the answer begins on the same terminal
    progress.emplace(flags_.engine.progress, std::vector<std::int64_t>{request.masks()});
    const auto results = engine_.generate(
        std::span(&request, 1),
        [&](const StepEvent& event) {
          if (view) {
            progress.reset();
            view->on_step(event);
            return !interrupted();
          }
          const std::string text = stream.push(event);
          if (!text.empty()) progress.reset();
          if (progress) progress->on_step(event);
          print(text);
          return !interrupted();
        },
        {},
        [&](const ForwardProgress& forward) {
          if (progress) progress->on_forward(forward);
          return !interrupted();
        });
    progress.reset();
    const GenerateResult& result = results.front();
    const double overhead = view ? view->overhead() : 0;
    if (view) view->show_request(1);
    if (result.finish_reason == FinishReason::kError) {
      throw Error(result.error->code, result.error->message);
    }
    if (result.finish_reason == FinishReason::kCancelled) {
      print("\n");
      fmt::print(stderr, "(cancelled; this turn is dropped)\n");
      clear_interrupt();
      return false;
    }
    print(stream.finish(result.text) + "\n");
    fmt::print(stderr, "({})\n",
               summary(static_cast<std::int64_t>(result.ids.size()), result.refresh_forwards,
                       result.window_forwards, std::max(0.0, result.seconds - overhead)));
    history_.push_back({"assistant", result.text});
    return true;
  }

  void print(const std::string& text) const {
    if (text.empty()) return;
    fmt::print("{}", stdout_is_terminal_ ? printable(text) : text);
    std::fflush(stdout);
  }

  const ChatFlags& flags_;
  Engine engine_;
  bool stdin_is_terminal_, stdout_is_terminal_;
  LineReader reader_;
  std::vector<ChatMessage> history_;
  RequestFailures failures_;
};

}  // namespace

CommandBody add_chat(CLI::App& app) {
  const auto flags = std::make_shared<ChatFlags>();
  app.footer("One message a line, from a terminal or from a pipe.\n" + std::string(kChatHelp));
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  app.add_option("--system", flags->system, "system message")->type_name("T");
  app.add_flag("--visual", flags->visual, "show the canvas denoising, where stdout is a terminal");
  app.add_option("--visual-delay", flags->visual_delay,
                 "pause after each frame, not counted in the speed (default 60)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{60000}).description(""))
      ->type_name("MS");
  add_generate_options(app, flags->options);
  flags->engine.add_engine_options(app);
  return [flags] {
    if (flags->visual && !is_terminal(STDOUT_FILENO)) {
      fmt::print(stderr, "fast-dllm: --visual is ignored: stdout is no terminal\n");
    }
    return Chat(*flags).run();
  };
}

}  // namespace fdllm::cli
