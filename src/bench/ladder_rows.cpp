#include "bench/ladder_rows.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/options/presets.h"

namespace fdllm::bench {
namespace {

struct FixedRow {
  const char *name, *series, *settings;
};

/// Tables 1, 4, 5 and 11 of the paper; the fixed rates are the baselines of its figure 5.
constexpr FixedRow kPaperRows[] = {
    {"baseline", "baseline", "cache=none tokens-per-forward=1"},
    {"fixed-2", "fixed rate", "cache=none tokens-per-forward=2"},
    {"fixed-4", "fixed rate", "cache=none tokens-per-forward=4"},
    {"fixed-8", "fixed rate", "cache=none tokens-per-forward=8"},
    {"prefix", "cache", "cache=prefix tokens-per-forward=1"},
    {"dual", "cache", "cache=dual tokens-per-forward=1"},
    {"threshold", "parallel", "cache=none threshold=0.9"},
    {"factor", "parallel", "cache=none factor=1"},
    {"prefix+threshold", "cache + parallel", "cache=prefix threshold=0.9"},
    {"dual+threshold", "cache + parallel", "cache=dual threshold=0.9"},
    {"prefix+factor", "cache + parallel", "cache=prefix factor=1"},
    {"dual+factor", "cache + parallel", "cache=dual factor=1"},
};

struct Sweep {
  const char *name, *settings, *option;
  std::vector<const char*> values;
};

const std::vector<Sweep>& sweeps() {
  static const std::vector<Sweep> kSweeps = {
      {"threshold", "cache=dual", "threshold", {"0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "1"}},
      {"factor", "cache=dual", "factor", {"0.5", "0.7", "1", "1.3", "1.6", "1.9"}},
      {"block",
       "cache=prefix tokens-per-forward=1",
       "block-length",
       {"4", "8", "16", "32", "64", "128", "256"}},
      {"refresh", "cache=dual threshold=0.9", "refresh-interval", {"1", "2", "4", "8"}},
  };
  return kSweeps;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void set_option(const LadderRow& row, GenerateOptions& options, std::string_view name,
                std::string_view value) {
  const GenerateOption* option = find_generate_option(name);
  if (option == nullptr) {
    fail(ErrorCode::kInvalidArgument,
         "row '{}': there is no generate option '{}'; see fast-dllm generate --help-all", row.name,
         name);
  }
  try {
    option->set(options, value);
  } catch (const Error& error) {
    fail(error.code(), "row '{}': {}", row.name, error.what());
  }
}

}  // namespace

std::vector<LadderRow> ladder_rows() {
  std::vector<LadderRow> rows;
  for (const FixedRow& row : kPaperRows) rows.push_back({row.name, row.series, row.settings});
  for (const Preset& preset : presets()) {
    rows.push_back(
        {fmt::format("preset:{}", preset.name), "presets", fmt::format("preset={}", preset.name)});
  }
  return rows;
}

std::vector<LadderRow> find_ladder_rows(const std::vector<std::string>& names) {
  const std::vector<LadderRow> all = ladder_rows();
  std::vector<LadderRow> found;
  for (const std::string& name : names) {
    bool known = false;
    for (const LadderRow& row : all) {
      const bool is_preset = row.series == "presets";
      if (row.name != name && name != "all" && name != (is_preset ? "presets" : "paper")) continue;
      known = true;
      const bool twice = std::any_of(found.begin(), found.end(), [&](const LadderRow& other) {
        return other.name == row.name;
      });
      if (!twice) found.push_back(row);
    }
    if (known) continue;
    std::string rows;
    for (const LadderRow& row : all) rows += row.name + ", ";
    fail(ErrorCode::kInvalidArgument, "--rows: expected some of {}paper, presets, all; found '{}'",
         rows, name);
  }
  return found;
}

std::string ladder_sweep_names() {
  std::string names;
  for (const Sweep& sweep : sweeps()) {
    names += (names.empty() ? "" : ", ") + std::string(sweep.name);
  }
  return names;
}

std::vector<LadderRow> ladder_sweep(std::string_view name) {
  for (const Sweep& sweep : sweeps()) {
    if (name != sweep.name) continue;
    std::vector<LadderRow> rows;
    for (const char* value : sweep.values) {
      rows.push_back({fmt::format("{}={}", sweep.name, value), fmt::format("{} sweep", sweep.name),
                      fmt::format("{} {}={}", sweep.settings, sweep.option, value)});
    }
    if (name == "refresh") {
      rows.push_back(
          {"refresh=never", "refresh sweep", fmt::format("{} refresh=never", sweep.settings)});
    }
    return rows;
  }
  fail(ErrorCode::kInvalidArgument, "--sweep: expected one of {}; found '{}'", ladder_sweep_names(),
       name);
}

LadderRow parse_ladder_row(std::string_view text) {
  const std::size_t colon = text.find(": ");
  LadderRow row{std::string(text), "own rows", std::string(text)};
  if (colon != std::string_view::npos && text.find('=') > colon) {
    row.name = std::string(text.substr(0, colon));
    row.settings = std::string(text.substr(colon + 2));
  }
  if (row.name.empty() || words_of(row.settings).empty()) {
    fail(ErrorCode::kInvalidArgument,
         "--row: expected a name and options, like 'mine: cache=dual threshold=0.8', found '{}'",
         text);
  }
  ladder_options(row, 32, 32, true);
  return row;
}

GenerateOptions ladder_options(const LadderRow& row, std::int32_t gen_length,
                               std::int32_t block_length, bool eos_stop) {
  GenerateOptions options;
  set_option(row, options, "gen-length", fmt::format("{}", gen_length));
  if (block_length > 0) set_option(row, options, "block-length", fmt::format("{}", block_length));
  set_option(row, options, "eos-stop", eos_stop ? "true" : "false");
  for (const std::string_view word : words_of(row.settings)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      fail(ErrorCode::kInvalidArgument, "row '{}': expected option=value, found '{}'", row.name,
           word);
    }
    set_option(row, options, word.substr(0, equals), word.substr(equals + 1));
  }
  return with_preset(std::move(options));
}

}  // namespace fdllm::bench
