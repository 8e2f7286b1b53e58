#include "engine/presets.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace fdllm {
namespace {

// The figures behind these values are in docs/measured/presets.md.
constexpr std::array kExact = {Preset::Value{"cache", "none"},
                               Preset::Value{"tokens-per-forward", "1"}};
constexpr std::array kPaper = {Preset::Value{"cache", "dual"}, Preset::Value{"threshold", "0.9"}};
constexpr std::array kFast = {
    Preset::Value{"cache", "dual"},       Preset::Value{"refresh", "vicinity"},
    Preset::Value{"block-length", "16"},  Preset::Value{"query-before", "8"},
    Preset::Value{"suffix-window", "32"}, Preset::Value{"threshold", "0.95"}};
constexpr std::array kTurbo = {
    Preset::Value{"cache", "dual"},      Preset::Value{"refresh", "vicinity"},
    Preset::Value{"block-length", "16"}, Preset::Value{"refresh-radius", "8"},
    Preset::Value{"query-before", "4"},  Preset::Value{"suffix-window", "32"},
    Preset::Value{"threshold", "0.85"}};

constexpr std::array<std::string_view, 9> kRuleOptions = {
    "steps",   "threshold",     "factor", "tokens-per-forward", "alg",
    "frechet", "entropy-bound", "margin", "relaxed-threshold"};

bool chooses_rule(std::string_view option) {
  return std::find(kRuleOptions.begin(), kRuleOptions.end(), option) != kRuleOptions.end();
}

std::uint64_t bit_of(const GenerateOption& option) {
  return std::uint64_t{1} << (&option - generate_options().data());
}

bool is_given(const GenerateOptions& options, const GenerateOption& option) {
  return (options.given & bit_of(option)) != 0;
}

/// Sets back those of the preset's values in `result` that make no sense beside what was given.
void leave_out_misfits(const GenerateOptions& given, GenerateOptions& result) {
  const GenerateOptions defaults;
  const auto own = [&](std::string_view name) {
    return !is_given(given, *find_generate_option(name));
  };
  if (result.cache == CacheKind::kNone) {
    if (own("refresh")) result.refresh = defaults.refresh;
    if (own("query-before")) result.query_before.reset();
    if (own("block-length")) result.block_length.reset();
  }
  if (own("refresh-radius") && result.refresh != RefreshKind::kVicinity) {
    result.refresh_radius.reset();
  }
}

}  // namespace

std::span<const Preset> presets() {
  static constexpr std::array<Preset, 4> kPresets = {
      {{"exact", kExact}, {"paper", kPaper}, {"fast", kFast}, {"turbo", kTurbo}}};
  return kPresets;
}

void apply_preset(GenerateOptions& options) {
  const auto preset = std::find_if(presets().begin(), presets().end(), [&](const Preset& entry) {
    return entry.name == options.preset;
  });
  if (preset == presets().end()) {
    fail(ErrorCode::kInvalidArgument, "'preset': unknown name '{}'", options.preset.value_or(""));
  }
  GenerateOptions result;
  result.preset = options.preset;
  result.given = options.given;
  result.stop = options.stop;
  bool rule_given = false;
  for (const GenerateOption& option : generate_options()) {
    if (!is_given(options, option)) continue;
    rule_given |= chooses_rule(option.name);
    if (const auto text = option.text(options)) option.store(option, result, *text);
  }
  for (const Preset::Value& value : preset->values) {
    const GenerateOption* option = find_generate_option(value.option);
    check(option != nullptr, "a preset sets an option that does not exist");
    if (is_given(options, *option) || (rule_given && chooses_rule(option->name))) continue;
    option->store(*option, result, value.value);
  }
  leave_out_misfits(options, result);
  options = std::move(result);
}

void mark_given(GenerateOptions& options, const GenerateOption& option) {
  options.given |= bit_of(option);
}

void mark_changed(GenerateOptions& options) {
  const GenerateOptions defaults;
  for (const GenerateOption& option : generate_options()) {
    if (option.text(options) != option.text(defaults)) mark_given(options, option);
  }
}

}  // namespace fdllm
