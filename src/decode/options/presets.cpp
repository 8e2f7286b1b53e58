#include "decode/options/presets.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "base/quote.h"
#include "decode/unmask/lookup.h"

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

bool is_given(const GenerateOptions& options, const GenerateOption& option) {
  return option.text(options).has_value();
}

bool chooses_rule(const GenerateOption& option) {
  if (option.name == "alg") return true;
  const RuleNumber* number = find_rule_number(option.name);
  return number != nullptr && chooses_rule(*number);
}

/// Sets back those of the preset's values in `result` that make no sense beside what was given.
void leave_out_misfits(const GenerateOptions& given, GenerateOptions& result) {
  if (result.cache == CacheKind::kNone) {
    result.refresh = given.refresh;
    result.query_before = given.query_before;
    result.block_length = given.block_length;
  }
  if (result.refresh != RefreshKind::kVicinity) result.refresh_radius = given.refresh_radius;
}

}  // namespace

std::span<const Preset> presets() {
  static constexpr std::array<Preset, 4> kPresets = {
      {{"exact", kExact}, {"paper", kPaper}, {"fast", kFast}, {"turbo", kTurbo}}};
  return kPresets;
}

GenerateOptions with_preset(GenerateOptions options) {
  if (!options.preset) return options;
  const auto preset = std::find_if(presets().begin(), presets().end(), [&](const Preset& entry) {
    return entry.name == options.preset;
  });
  if (preset == presets().end()) {
    std::string names;
    for (const Preset& entry : presets()) {
      names += (names.empty() ? "" : ", ") + std::string(entry.name);
    }
    fail(ErrorCode::kInvalidArgument, "'preset': expected one of {}, found {}", names,
         quote(*options.preset));
  }
  const auto& table = generate_options();
  const bool rule_given =
      std::any_of(table.begin(), table.end(), [&](const GenerateOption& option) {
        return chooses_rule(option) && is_given(options, option);
      });
  GenerateOptions result = options;
  for (const Preset::Value& value : preset->values) {
    const GenerateOption* option = find_generate_option(value.option);
    check(option != nullptr, "a preset sets an option that does not exist");
    if (is_given(options, *option) || (rule_given && chooses_rule(*option))) continue;
    option->set(result, value.value);
  }
  leave_out_misfits(options, result);
  return result;
}

}  // namespace fdllm
