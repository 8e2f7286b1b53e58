// The options about rows: what is declared of each, defaults, and every refusal.
#include "decode/cache/row_options.h"

#include <string>

#include "base/check.h"
#include "decode/cache/plan.h"
#include "decode/options/entry.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;
using Group = GenerateOption::Group;

constexpr double kDefaultDrift = 0.1;

void check_needs_cache(const GenerateOptions& options, const PlanSettings& settings) {
  const char* option = settings.query != QueryRows::kAll               ? "query"
                       : options.query_before                          ? "query_before"
                       : settings.refresh->kind != RefreshKind::kBlock ? "refresh"
                       : options.refresh_interval                      ? "refresh_interval"
                                                                       : nullptr;
  if (option != nullptr) {
    fail(ErrorCode::kInvalidArgument,
         "'{}' contradicts 'cache' none, which keeps no rows: every step recomputes all; give "
         "cache prefix or dual, or leave {} out",
         option, option);
  }
}

void check_belongs(std::string_view option, bool given, RefreshKind kind,
                   const RefreshPolicy& chosen) {
  if (given && chosen.kind != kind) {
    fail(ErrorCode::kInvalidArgument,
         "'{}' contradicts 'refresh' {}: only refresh {} takes it; leave {} out", option,
         chosen.name, refresh_policy(kind).name, option);
  }
}

}  // namespace

std::vector<GenerateOption> row_options() {
  return {
      member_option<&Options::cache>({.name = "cache",
                                      .group = Group::kRows,
                                      .common = true,
                                      .value_name = "none|prefix|dual",
                                      .help = "K/V kept between the steps of a block",
                                      .otherwise = std::string(cache_policy(kDefaultCache).name)}),
      member_option<&Options::query>(
          {.name = "query",
           .group = Group::kRows,
           .value_name = "all|masked",
           .help = "rows of its window that a step recomputes; masked: those still masked and "
                   "those just committed",
           .otherwise = "all"}),
      member_option<&Options::query_before>(
          {.name = "query-before",
           .group = Group::kRows,
           .value_name = "N",
           .help = "recompute the N rows before the live block in every step too",
           .otherwise = "0",
           .range = NumberRange{}}),
      member_option<&Options::refresh>(
          {.name = "refresh",
           .group = Group::kRows,
           .value_name = "block|vicinity|drift|never",
           .help = "what is recomputed when a block begins: the whole canvas, the rows around the "
                   "block, the canvas only where confidence has fallen, or nothing",
           .otherwise = "block"}),
      member_option<&Options::refresh_interval>(
          {.name = "refresh-interval",
           .group = Group::kRows,
           .value_name = "K",
           .help = "recompute the whole canvas at every K-th block (default 1 with refresh block, "
                   "else never)",
           .range = NumberRange{.least = 1}}),
      member_option<&Options::refresh_radius>(
          {.name = "refresh-radius",
           .group = Group::kRows,
           .value_name = "N",
           .help = "refresh vicinity: rows before and after the block (default block-length)",
           .range = NumberRange{}}),
      member_option<&Options::refresh_drift>(
          {.name = "refresh-drift",
           .group = Group::kRows,
           .value_name = "P",
           .help = "refresh drift: by how much the mean confidence must have fallen",
           .otherwise = fmt::format("{}", kDefaultDrift),
           .range = NumberRange{.greatest = 1}}),
      member_option<&Options::suffix_window>(
          {.name = "suffix-window",
           .group = Group::kRows,
           .value_name = "N",
           .help = "run and attend only N masks after the live block, and the last position "
                   "(default: all)",
           .range = NumberRange{}}),
  };
}

PlanSettings resolve_plan(const GenerateOptions& options, std::int32_t block_length) {
  PlanSettings settings;
  settings.cache = &cache_policy(options.cache.value_or(kDefaultCache));
  settings.refresh = &refresh_policy(options.refresh.value_or(RefreshKind::kBlock));
  settings.query = options.query.value_or(QueryRows::kAll);
  settings.query_before = options.query_before.value_or(0);
  if (!settings.cache->keeps_rows) check_needs_cache(options, settings);
  check_belongs("refresh_radius", options.refresh_radius.has_value(), RefreshKind::kVicinity,
                *settings.refresh);
  check_belongs("refresh_drift", options.refresh_drift.has_value(), RefreshKind::kDrift,
                *settings.refresh);
  settings.refresh_interval = options.refresh_interval.value_or(settings.refresh->default_interval);
  settings.refresh_radius = options.refresh_radius.value_or(block_length);
  settings.refresh_drift = options.refresh_drift.value_or(kDefaultDrift);
  settings.suffix_window = options.suffix_window;
  return settings;
}

void fill_in_rows(const PlanSettings& settings, GenerateOptions& options) {
  options.cache = settings.cache->kind;
  options.query = settings.query;
  options.refresh = settings.refresh->kind;
  if (options.refresh == RefreshKind::kVicinity) options.refresh_radius = settings.refresh_radius;
  if (options.refresh == RefreshKind::kDrift) options.refresh_drift = settings.refresh_drift;
}

}  // namespace fdllm
