// The options about rows: defaults, and every refusal.
#include "base/check.h"
#include "decode/cache/plan.h"

namespace fdllm {
namespace {

constexpr double kDefaultDrift = 0.1;

void check_needs_cache(const GenerateOptions& options) {
  const char* option = options.query != QueryRows::kAll         ? "query"
                       : options.query_before                   ? "query_before"
                       : options.refresh != RefreshKind::kBlock ? "refresh"
                       : options.refresh_interval               ? "refresh_interval"
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

std::int32_t checked_count(std::string_view option, std::optional<std::int32_t> value,
                           std::int32_t least, std::int32_t otherwise) {
  if (value && *value < least) {
    fail(ErrorCode::kInvalidArgument, "'{}': expected a number of at least {}, found {}", option,
         least, *value);
  }
  return value.value_or(otherwise);
}

}  // namespace

PlanSettings resolve_plan(const GenerateOptions& options, std::int32_t block_length) {
  PlanSettings settings;
  settings.cache = &cache_policy(options.cache);
  settings.refresh = &refresh_policy(options.refresh);
  settings.query = options.query;
  settings.query_before = checked_count("query_before", options.query_before, 0, 0);
  if (!settings.cache->keeps_rows) check_needs_cache(options);
  check_belongs("refresh_radius", options.refresh_radius.has_value(), RefreshKind::kVicinity,
                *settings.refresh);
  check_belongs("refresh_drift", options.refresh_drift.has_value(), RefreshKind::kDrift,
                *settings.refresh);
  settings.refresh_interval = checked_count("refresh_interval", options.refresh_interval, 1,
                                            settings.refresh->default_interval);
  settings.refresh_radius =
      checked_count("refresh_radius", options.refresh_radius, 0, block_length);
  settings.refresh_drift = options.refresh_drift.value_or(kDefaultDrift);
  if (!(settings.refresh_drift >= 0 && settings.refresh_drift <= 1)) {
    fail(ErrorCode::kInvalidArgument, "'refresh_drift': expected a number from 0 to 1, found {}",
         settings.refresh_drift);
  }
  checked_count("suffix_window", options.suffix_window, 0, 0);
  settings.suffix_window = options.suffix_window;
  return settings;
}

}  // namespace fdllm
