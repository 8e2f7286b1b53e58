// The options about rows: what is declared of each, defaults, and every refusal.
#include "decode/cache/row_options.h"

#include <string>

#include "base/check.h"
#include "decode/cache/plan.h"
#include "decode/options/entry.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;

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
      common(option<&Options::cache>("cache", "none|prefix|dual",
                                     "K/V kept between the steps of a block",
                                     std::string(cache_policy(kDefaultCache).name))),
      option<&Options::query>(
          "query", "all|masked",
          "rows of its window that a step recomputes; masked: those still masked and "
          "those just committed",
          "all"),
      option<&Options::query_before>("query-before", "N",
                                     "recompute the N rows before the live block in every step too",
                                     "0", NumberRange{}),
      option<&Options::refresh>(
          "refresh", "block|vicinity|drift|never",
          "what is recomputed when a block begins: the whole canvas, the rows around the "
          "block, the canvas only where confidence has fallen, or nothing",
          "block"),
      option<&Options::refresh_interval>(
          "refresh-interval", "K",
          "recompute the whole canvas at every K-th block (default 1 with refresh block, "
          "else never)",
          "", NumberRange{.least = 1}),
      option<&Options::refresh_radius>(
          "refresh-radius", "N",
          "refresh vicinity: rows before and after the block (default block-length)", "",
          NumberRange{}),
      option<&Options::refresh_drift>(
          "refresh-drift", "P", "refresh drift: by how much the mean confidence must have fallen",
          fmt::format("{}", kDefaultDrift), NumberRange{.greatest = 1}),
      option<&Options::suffix_window>(
          "suffix-window", "N",
          "run and attend only N masks after the live block, and the last position "
          "(default: all)",
          "", NumberRange{}),
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
