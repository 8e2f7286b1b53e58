#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "bench/host.h"
#include "cli/command.h"
#include "cli/eval/eval_progress.h"
#include "cli/eval/eval_report.h"
#include "cli/exit_code.h"
#include "cli/generate/results.h"
#include "cli/interrupt.h"
#include "cli/options/engine_flags.h"
#include "cli/options/generate_flags.h"
#include "cli/terminal/display_text.h"
#include "cli/terminal/load_view.h"
#include "engine/option_json.h"
#include "eval/log.h"
#include "eval/score.h"
#include "eval/summary.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int32_t kConcurrency = 16;

struct EvalFlags {
  EngineFlags engine;
  GenerateOptions options;
  eval::TaskOptions task;
  std::int32_t concurrency = kConcurrency;
  bool chat = false, no_chat = false;
  std::optional<eval::ShotStyle> shot_style;
  std::string output, answers;
  std::vector<std::string> compare;
  bool print_prompts = false, json = false;
};

void print_line(const Json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

int run_compare(const EvalFlags& flags) {
  const eval::LogContent first = eval::read_log(flags.compare[0]);
  const eval::LogContent second = eval::read_log(flags.compare[1]);
  const eval::LogComparison comparison = eval::compare(first, second);
  if (flags.json) {
    print_line(comparison_json(comparison));
  } else {
    fmt::print("{}", comparison_text(comparison, flags.compare[0], flags.compare[1]));
  }
  return 0;
}

int score_given(const EvalFlags& flags, const eval::Task& task) {
  const auto texts = eval::read_answers(flags.answers, task);
  std::vector<eval::ItemRecord> records;
  eval::score_answers(task, texts, [&](const eval::ItemRecord& record) {
    Json json = eval::record_json(record);
    for (const char* field : {"prompt_hash", "prompt_tokens", "forwards", "rows", "useful_tokens",
                              "seconds", "clock", "finish"}) {
      json.erase(field);
    }
    print_line(json);
    records.push_back(record);
  });
  const eval::Summary summary = eval::summarize(records, 0);
  const auto say = [](const char* name, const eval::Accuracy& accuracy) {
    const eval::Interval interval = accuracy.interval();
    fmt::print(stderr, "{} {:.1f} % (95 % interval {:.1f} to {:.1f}), {} of {}\n", name,
               100 * accuracy.fraction(), 100 * interval.low, 100 * interval.high, accuracy.correct,
               accuracy.scored);
  };
  std::fflush(stdout);
  say("accuracy", summary.accuracy);
  if (summary.strict) say("strict", *summary.strict);
  return 0;
}

Json settings_json(const eval::Task& task, const Engine& engine, const eval::RunOptions& run) {
  const ModelInfo& info = engine.info();
  Json settings;
  settings["task"] = task.name;
  settings["data_hash"] = fmt::format("{:016x}", task.data_hash);
  settings["shots"] = task.shots;
  settings["chat"] = run.chat;
  if (task.shots > 0 && run.chat) {
    const bool turns = run.shot_style.value_or(task.chat_shots) == eval::ShotStyle::kTurns;
    settings["shots_as"] = turns ? "turns" : "text";
  }
  settings["stop"] = run.chat ? task.chat_stop : task.stop;
  settings["concurrency"] = run.concurrency;
  settings["model"] = {{"family", info.family},
                       {"parameters", info.parameters},
                       {"weights", name_of(info.weights)},
                       {"fingerprint", fmt::format("{:016x}", eval::model_fingerprint(info.path))},
                       {"backend", info.backend}};
  GenerateRequest probe;
  probe.options = run.generate;
  settings["options"] = options_json(engine.resolve(probe).options());
  return settings;
}

Json about_json(const EvalFlags& flags, const Engine& engine) {
  return {{"model", engine.info().path},
          {"data", flags.task.data.string()},
          {"cpu", bench::cpu_name()},
          {"version", FASTDLLM_VERSION}};
}

int print_prompts(const EvalFlags& flags, const eval::Task& task) {
  std::optional<Engine> engine;
  eval::RunOptions run;
  run.shot_style = flags.shot_style;
  if (!flags.no_chat) {
    engine.emplace(load_engine(flags.engine));
    run.chat = flags.chat || engine->has_chat_template();
  }
  for (const eval::Item& item : task.items) {
    const std::string prompt =
        run.chat ? eval::full_prompt(*engine, task, item, run) : eval::prompt_text(task, item);
    print_line({{"id", item.id}, {"prompt", prompt}});
  }
  return 0;
}

/// Prints the summary, and what one of the failed items says; returns the exit code.
int report(const EvalFlags& flags, const eval::LogContent& content) {
  RequestFailures failures;
  for (const eval::LoggedItem& item : content.items) {
    if (item.record.finish == FinishReason::kError) failures.add(item.record.error_code);
  }
  const auto failed = std::find_if(content.items.begin(), content.items.end(),
                                   [](const auto& item) { return !item.record.error.empty(); });
  if (failed != content.items.end()) {
    fmt::print(stderr, "fast-dllm: item {}: {}\n", printable(failed->record.id),
               printable(failed->record.error));
  }
  const eval::Summary summary = eval::summarize(content.items);
  if (flags.json) {
    print_line(summary_json(summary, content));
  } else {
    fmt::print("{}", summary_text(summary, content));
  }
  return failures.code();
}

/// Runs what a log lacks (or everything, where there is none) and reports on the whole.
int run_task(const EvalFlags& flags, const eval::Task& task) {
  EngineFlags engine_flags = flags.engine;
  engine_flags.options.max_live_requests =
      std::max(engine_flags.options.max_live_requests, flags.concurrency);
  Engine engine = load_engine(engine_flags);
  eval::RunOptions run;
  run.generate = flags.options;
  run.chat = flags.chat || (!flags.no_chat && engine.has_chat_template());
  run.shot_style = flags.shot_style;
  run.concurrency = flags.concurrency;
  eval::LogContent content;
  content.settings = settings_json(task, engine, run);
  content.about = about_json(flags, engine);
  std::optional<eval::ResultLog> log;
  if (!flags.output.empty()) {
    log.emplace(flags.output, content.settings, content.about);
    for (const eval::LoggedItem& item : log->items()) run.skip.insert(item.record.id);
  }
  std::set<std::string> wanted;
  for (const eval::Item& item : task.items) wanted.insert(item.id);
  const auto done = std::count_if(wanted.begin(), wanted.end(),
                                  [&](const std::string& id) { return run.skip.contains(id); });
  if (done > 0) fmt::print(stderr, "fast-dllm: {} of {} items are done\n", done, wanted.size());

  catch_signals();
  EvalProgress progress(flags.engine.progress, std::ssize(wanted), done);
  eval::RunCallbacks callbacks;
  callbacks.cancelled = interrupted;
  callbacks.on_item = [&](const eval::ItemRecord& record) {
    if (log) {
      log->add(record);
    } else {
      content.items.push_back({record, 1});
    }
    progress.add(record);
  };
  callbacks.on_forward = [&](const ForwardProgress& forward) { progress.forward(forward); };
  const eval::RunResult result = eval::run(engine, task, run, callbacks);
  progress.clear();
  if (result.cancelled) {
    fmt::print(stderr, "fast-dllm: interrupted{}\n",
               log ? "; the same command goes on where it stopped" : "");
    return kExitCancelled;
  }
  if (log) {
    std::copy_if(log->items().begin(), log->items().end(), std::back_inserter(content.items),
                 [&](const eval::LoggedItem& item) { return wanted.contains(item.record.id); });
  }
  return report(flags, content);
}

int run_eval(const EvalFlags& flags) {
  if (!flags.compare.empty()) return run_compare(flags);
  if (flags.task.name.empty() || flags.task.data.empty()) {
    fail(ErrorCode::kInvalidArgument, "{} is missing: give --task NAME and --data FILE",
         flags.task.name.empty() ? "--task" : "--data");
  }
  if (flags.chat && flags.no_chat) {
    fail(ErrorCode::kInvalidArgument, "--chat contradicts --no-chat");
  }
  const eval::Task task = eval::load_task(flags.task);
  if (flags.print_prompts) return print_prompts(flags, task);
  if (!flags.answers.empty()) return score_given(flags, task);
  return run_task(flags, task);
}

void add_task_options(CLI::App& app, EvalFlags& flags) {
  const char* group = "Task";
  std::string names, help = "what to ask:";
  for (const eval::TaskDescriptor& known : eval::tasks()) {
    names += (names.empty() ? "" : "|") + std::string(known.name);
    help += fmt::format(" {} ({}; {} shots);", known.name, known.help, known.shots);
  }
  help.pop_back();
  app.add_option("--task", flags.task.name, help)->type_name(names)->group(group);
  app.add_option("--data", flags.task.data, "the questions, JSON lines")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_option("--fewshot-data", flags.task.fewshot_data,
                 "JSON lines of which the first are shots")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_option("--shots", flags.task.shots,
                 "solved examples before each question (default: the task's)")
      ->type_name("N")
      ->group(group);
  app.add_option_function<std::string>(
         "--shots-as",
         [&flags](const std::string& value) {
           flags.shot_style = value == "turns" ? eval::ShotStyle::kTurns : eval::ShotStyle::kText;
         },
         "with a chat template: shots as earlier turns (jsonl's default) or in the text of one "
         "message (gsm8k's)")
      ->check(CLI::IsMember({"text", "turns"}).description(""))
      ->type_name("text|turns")
      ->group(group);
  app.add_flag("--chat", flags.chat, "apply the chat template (default where the model has one)")
      ->group(group);
  app.add_flag("--no-chat", flags.no_chat, "raw prompts, for base models")->group(group);
  app.add_option("--limit", flags.task.limit, "only the first N questions")
      ->type_name("N")
      ->group(group);
  app.add_option("--concurrency", flags.concurrency,
                 fmt::format("questions decoded together (default {})", kConcurrency))
      ->check(CLI::Range(1, 1 << 16).description(""))
      ->type_name("N")
      ->group(group);
}

void add_result_options(CLI::App& app, EvalFlags& flags) {
  const char* group = "Results";
  app.add_option("--output", flags.output,
                 "log, a line a question; the same command, given again, skips what it holds")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_flag("--json", flags.json, "print the summary as one JSON object")->group(group);
  app.add_option("--compare", flags.compare,
                 "compare two logs, question by question, instead of running anything")
      ->expected(2)
      ->type_name("A.jsonl B.jsonl")
      ->group(group);
  app.add_option("--answers", flags.answers,
                 "score these answers, JSON lines {id, text} (a log too), instead of running a "
                 "model; prints a line each")
      ->type_name("F.jsonl")
      ->group(group);
  app.add_flag("--print-prompts", flags.print_prompts,
               "print {id, prompt} lines instead of running a model")
      ->group(group);
}

}  // namespace

CommandBody add_eval(CLI::App& app) {
  const auto flags = std::make_shared<EvalFlags>();
  app.footer(
      "The summary goes to stdout, progress to stderr. docs/eval.md describes the tasks and the "
      "log.");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  add_task_options(app, *flags);
  add_result_options(app, *flags);
  add_generate_options(app, flags->options);
  flags->engine.add_engine_options(app);
  return [flags] { return run_eval(*flags); };
}

}  // namespace fdllm::cli
