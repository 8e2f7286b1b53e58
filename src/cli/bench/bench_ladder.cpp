#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "bench/host.h"
#include "cli/bench/bench_commands.h"
#include "cli/bench/bench_flags.h"
#include "cli/bench/cost_file.h"
#include "cli/bench/ladder_file.h"
#include "cli/bench/output_folder.h"
#include "cli/generate/prompts.h"
#include "cli/terminal/load_view.h"
#include "eval/data.h"

namespace fdllm::cli {
namespace {

constexpr const char* kFile = "ladder.json";
/// Between two lines on stderr within a cell.
constexpr auto kProgressInterval = std::chrono::seconds(30);

struct BenchLadderFlags {
  EngineFlags engine;
  eval::TaskOptions task;
  std::optional<eval::ShotStyle> shot_style;
  bool no_chat = false;
  std::vector<std::string> rows, sweeps, own_rows;
  std::vector<std::int32_t> gen_lengths = {256}, shots = {0};
  std::int32_t block_length = 0;  ///< 0: the model's
  std::string eos_stop = "off";
  std::string costs, out;
  std::vector<std::int64_t> prompts = {896, 1400};
  bool fresh = false, json = false;

  BenchLadderFlags() { task.name = "jsonl"; }
};

std::vector<bench::LadderRow> rows_of(const BenchLadderFlags& flags) {
  std::vector<bench::LadderRow> rows;
  if (!flags.rows.empty()) {
    rows = bench::find_ladder_rows(flags.rows);
  } else if (flags.sweeps.empty() && flags.own_rows.empty()) {
    rows = bench::find_ladder_rows({"paper"});
  }
  for (const std::string& sweep : flags.sweeps) {
    for (bench::LadderRow& row : bench::ladder_sweep(sweep)) rows.push_back(std::move(row));
  }
  for (const std::string& text : flags.own_rows) rows.push_back(bench::parse_ladder_row(text));
  return rows;
}

/// Changes whenever a file of the model does, what is written about it apart.
std::uint64_t model_stamp(const std::filesystem::path& path) {
  std::map<std::string, std::string> files;
  const auto add = [&](const std::filesystem::path& file) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file, error);
    const auto time = std::filesystem::last_write_time(file, error).time_since_epoch().count();
    files[file.filename().string()] = fmt::format("{} {}", size, time);
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      if (entry.path().extension() != ".md") add(entry.path());
    }
  } else {
    add(path);
  }
  std::uint64_t hash = eval::kHashBasis;
  for (const auto& [name, state] : files) {
    hash = eval::hash_bytes(fmt::format("{} {}\n", name, state), hash);
  }
  return hash;
}

class Ladder {
 public:
  explicit Ladder(const BenchLadderFlags& flags)
      : flags_(flags), rows_(rows_of(flags)), out_(flags.out) {
    if (flags.task.data.empty()) {
      fail(ErrorCode::kInvalidArgument, "--data is missing: JSON lines with questions");
    }
    for (const std::int32_t shots : flags.shots) {
      eval::TaskOptions options = flags.task;
      options.shots = shots;
      tasks_.emplace(shots, eval::load_task(options));
    }
    if (!flags.costs.empty()) costs_ = read_cost_file(flags.costs);
    engine_.emplace(load_engine(flags.engine));
    run_.chat = !flags.no_chat && engine_->has_chat_template();
    run_.shot_style = flags.shot_style;
    describe();
    resume();
  }

  int run() {
    const auto groups = wanted_groups();
    const std::size_t total = groups.size() * rows_.size();
    std::size_t number = 0;
    bool warm = false;
    for (const bench::LadderGroup& group : groups) {
      for (const bench::LadderRow& row : rows_) {
        ++number;
        const GenerateOptions options =
            bench::ladder_options(row, group.gen_length, flags_.block_length, group.eos_stop);
        const std::string prefix =
            fmt::format("[{}/{}] {}, {}", number, total, name_of(group), row.name);
        const std::optional<std::size_t> at = find(row, group);
        if (at && !flags_.fresh && file_.options[*at] == options_text(options)) {
          fmt::print(stderr, "{}: done before\n", prefix);
          continue;
        }
        if (!warm) warm_up(group);
        warm = true;
        store(at, measure(row, group, options, prefix), options_text(options));
        save();
      }
    }
    save();
    if (flags_.json) {
      print_json(ladder_json(file_));
    } else {
      fmt::print("{}", ladder_markdown(file_.report));
    }
    return 0;
  }

 private:
  void describe() {
    const ModelInfo& info = engine_->info();
    const eval::Task& task = tasks_.begin()->second;
    const std::string limit =
        flags_.task.limit ? fmt::format("{}", *flags_.task.limit) : std::string("all");
    file_.identity = fmt::format(
        "{} {:016x} {} {} | {} {:016x} limit {} chat {} {}", info.path, model_stamp(info.path),
        name_of(info.weights), info.backend, task.name, task.data_hash, limit, run_.chat,
        run_.shot_style ? (*run_.shot_style == eval::ShotStyle::kTurns ? "turns" : "text") : "");
    file_.report.title = fmt::format(
        "Model `{}` ({:.2f} M parameters, {} weights), task {}, {} items at most; {}, {}. One "
        "request at a time. Speed-ups and paired differences are against the row `{}` of the same "
        "table.",
        std::filesystem::path(info.path).filename().string(), 1e-6 * double(info.parameters),
        name_of(info.weights), task.name, limit, info.backend, bench::cpu_name(),
        bench::kBaselineRow);
  }

  void resume() {
    if (out_.exists() && std::filesystem::exists(path()) && !flags_.fresh) {
      LadderFile before = parse_ladder(read_text(path()), path());
      if (before.identity != file_.identity) {
        fail(ErrorCode::kInvalidArgument,
             "{}: holds the ladder of another model, data, limit or machine ({}); give another "
             "--out, or --fresh to write over it",
             path(), before.identity);
      }
      before.report.title = file_.report.title;
      file_ = std::move(before);
    }
    file_.report.prompts = flags_.prompts;
    if (costs_) {
      file_.report.costs = costs_->points;
      file_.report.cost_shape = costs_->shape;
    }
  }

  std::vector<bench::LadderGroup> wanted_groups() const {
    std::vector<bench::LadderGroup> groups;
    for (const std::int32_t shots : flags_.shots) {
      for (const std::int32_t gen_length : flags_.gen_lengths) {
        if (flags_.eos_stop != "on") groups.push_back({gen_length, shots, false});
        if (flags_.eos_stop != "off") groups.push_back({gen_length, shots, true});
      }
    }
    return groups;
  }

  std::optional<std::size_t> find(const bench::LadderRow& row,
                                  const bench::LadderGroup& group) const {
    for (std::size_t i = 0; i < file_.report.cells.size(); ++i) {
      const bench::LadderCell& cell = file_.report.cells[i];
      if (cell.group == group && cell.row.name == row.name) return i;
    }
    return std::nullopt;
  }

  void store(std::optional<std::size_t> at, bench::LadderCell cell, std::string options) {
    if (at) {
      file_.report.cells[*at] = std::move(cell);
      file_.options[*at] = std::move(options);
    } else {
      file_.report.cells.push_back(std::move(cell));
      file_.options.push_back(std::move(options));
    }
  }

  /// So that the first cell does not pay for pages and threads that are new.
  void warm_up(const bench::LadderGroup& group) {
    const eval::Task& task = tasks_.at(group.shots);
    if (task.items.empty()) return;
    GenerateRequest request;
    request.prompt_ids =
        engine_->tokenize(eval::full_prompt(*engine_, task, task.items.front(), run_));
    request.options.gen_length = 32;
    engine_->generate({&request, 1});
  }

  bench::LadderCell measure(const bench::LadderRow& row, const bench::LadderGroup& group,
                            const GenerateOptions& options, const std::string& prefix) {
    const eval::Task& task = tasks_.at(group.shots);
    std::size_t items = 0, correct = 0;
    double seconds = 0;
    std::int64_t useful = 0;
    auto next = std::chrono::steady_clock::now() + kProgressInterval;
    const auto report = [&] {
      fmt::print(stderr, "{}: {} of {} items, {} right, {:.1f} s, {:.1f} useful tokens/s\n", prefix,
                 items, task.items.size(), correct, seconds,
                 seconds > 0 ? static_cast<double>(useful) / seconds : 0.0);
    };
    const auto on_item = [&](const bench::LadderItem& item) {
      ++items;
      correct += item.correct;
      seconds += item.seconds;
      useful += item.useful;
      if (std::chrono::steady_clock::now() < next) return;
      next += kProgressInterval;
      report();
    };
    eval::RunOptions run = run_;
    run.generate = options;
    bench::LadderCell cell =
        bench::run_ladder_cell(*engine_, task, run, {.row = row, .group = group}, on_item);
    if (cell.refused.empty()) {
      report();
    } else {
      fmt::print(stderr, "{}: refused: {}\n", prefix, cell.refused);
    }
    return cell;
  }

  std::string path() const { return (std::filesystem::path(flags_.out) / kFile).string(); }

  void save() const {
    if (!out_.exists()) return;
    out_.write(kFile, ladder_json(file_).dump(1, ' ', false,
                                              nlohmann::ordered_json::error_handler_t::replace));
    out_.write("ladder.md", ladder_markdown(file_.report));
  }

  const BenchLadderFlags& flags_;
  std::vector<bench::LadderRow> rows_;
  OutputFolder out_;
  std::map<std::int32_t, eval::Task> tasks_;
  std::optional<CostFile> costs_;
  std::optional<Engine> engine_;
  eval::RunOptions run_;
  LadderFile file_;
};

void add_task_options(CLI::App& app, BenchLadderFlags& flags) {
  const char* group = "Task";
  app.add_option("--task", flags.task.name, "as fast-dllm eval's (default jsonl)")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--data", flags.task.data, "the questions, JSON lines")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--fewshot-data", flags.task.fewshot_data,
                 "JSON lines of which the first are shots")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--shots", flags.shots, "solved examples before each question (default 0)")
      ->delimiter(',')
      ->check(CLI::Range(0, 10000).description(""))
      ->type_name("N,...")
      ->group(group);
  app.add_option_function<std::string>(
         "--shots-as",
         [&flags](const std::string& value) {
           flags.shot_style = value == "turns" ? eval::ShotStyle::kTurns : eval::ShotStyle::kText;
         },
         "with a chat template: shots as earlier turns or in one message (default: the task's)")
      ->check(CLI::IsMember({"text", "turns"}).description(""))
      ->type_name("text|turns")
      ->group(group);
  app.add_flag("--no-chat", flags.no_chat, "raw prompts, for base models")->group(group);
  app.add_option("--limit", flags.task.limit, "only the first N questions")
      ->type_name("N")
      ->group(group);
}

void add_ladder_options(CLI::App& app, BenchLadderFlags& flags) {
  const char* group = "Ladder";
  app.add_option("--rows", flags.rows,
                 "names of rows, paper (the default, all without presets), presets or all")
      ->delimiter(',')
      ->type_name("R,...")
      ->group(group);
  app.add_option("--sweep", flags.sweeps, "further rows: " + bench::ladder_sweep_names())
      ->delimiter(',')
      ->type_name("S,...")
      ->group(group);
  app.add_option("--row", flags.own_rows,
                 "a row of your own, like 'mine: cache=dual threshold=0.8'; may be given again")
      ->type_name("ROW")
      ->group(group);
  app.add_option("--gen-length", flags.gen_lengths, "masks after a prompt (default 256)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->type_name("N,...")
      ->group(group);
  app.add_option("--block-length", flags.block_length,
                 "positions of a block, for rows without their own (default: the model's, 32)")
      ->type_name("N")
      ->group(group);
  app.add_option("--eos-stop", flags.eos_stop,
                 "off: canvases are filled, as the paper does (default); on: stop at the end token")
      ->check(CLI::IsMember({"off", "on", "both"}).description(""))
      ->type_name("off|on|both")
      ->group(group);
  app.add_option("--costs", flags.costs,
                 "JSON of bench costs: compute seconds per sample for its shape too")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--at-prompt", flags.prompts,
                 "with --costs: lengths of the prompt to compute for (default 896,1400)")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->type_name("N,...")
      ->group(group);
  app.add_option("--out", flags.out,
                 "folder for ladder.json (tools/plot.py draws it) and ladder.md; cells that are "
                 "there already are not measured again")
      ->type_name("DIR")
      ->group(group);
  app.add_flag("--fresh", flags.fresh, "measure again what is there")->group(group);
  app.add_flag("--json", flags.json, "print ladder.json instead of ladder.md")->group(group);
}

}  // namespace

CommandBody add_bench_ladder(CLI::App& app) {
  const auto flags = std::make_shared<BenchLadderFlags>();
  app.footer(
      "Answers the same questions with each row's decoding, one after the other, and prints\n"
      "accuracy beside speed, as the paper's tables do (docs/ladder.md).");
  flags->engine.add_model_option(app);
  flags->engine.add_chat_template_option(app);
  add_task_options(app, *flags);
  add_ladder_options(app, *flags);
  flags->engine.add_engine_options(app);
  return [flags] { return Ladder(*flags).run(); };
}

}  // namespace fdllm::cli
