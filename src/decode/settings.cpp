#include "decode/settings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "decode/unmask/registry.h"

namespace fdllm {
namespace {

constexpr std::int32_t kDefaultBlockLength = 32;
constexpr double kDefaultThreshold = 0.9;
// More steps than positions only lengthen the schedule; without a limit they would be walked over.
constexpr std::int32_t kMaxIdleSteps = 65536;
// Above, a softmax is uniform anyway.
constexpr double kGreatestTemperature = 100;

/// One of the options that only some rules take: its name, and whether a request gives it.
struct OptionUse {
  RuleOption option;
  std::string_view name;
  bool (*given)(const GenerateOptions&);
};
// Below, logits / temperature could leave the range of float.
constexpr double kLeastTemperature = 1e-4;

double usable_temperature(double value) {
  return value < kLeastTemperature ? 0 : value;
}

using Options = GenerateOptions;
constexpr std::array<OptionUse, 12> kOptionUses = {{
    {RuleOption::kSteps, "steps", [](const Options& o) { return o.steps.has_value(); }},
    {RuleOption::kThreshold, "threshold", [](const Options& o) { return o.threshold.has_value(); }},
    {RuleOption::kFactor, "factor", [](const Options& o) { return o.factor.has_value(); }},
    {RuleOption::kTokensPerForward, "tokens_per_forward",
     [](const Options& o) { return o.tokens_per_forward.has_value(); }},
    {RuleOption::kFrechet, "frechet", [](const Options& o) { return o.frechet.has_value(); }},
    {RuleOption::kEntropyBound, "entropy_bound",
     [](const Options& o) { return o.entropy_bound.has_value(); }},
    {RuleOption::kMargin, "margin", [](const Options& o) { return o.margin.has_value(); }},
    {RuleOption::kRelaxedThreshold, "relaxed_threshold",
     [](const Options& o) { return o.relaxed_threshold.has_value(); }},
    {RuleOption::kAlg, "alg", [](const Options& o) { return o.alg.has_value(); }},
    {RuleOption::kAlgTemp, "alg_temp",
     [](const Options& o) { return usable_temperature(o.alg_temp) != 0; }},
    {RuleOption::kRemasking, "remasking",
     [](const Options& o) { return o.remasking != Remasking::kLowConfidence; }},
    {RuleOption::kCfgScale, "cfg_scale", [](const Options& o) { return o.cfg_scale != 0; }},
}};

std::string_view name_of(RuleOption option) {
  for (const OptionUse& use : kOptionUses) {
    if (use.option == option) return use.name;
  }
  return "";
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

using Rules = std::vector<const UnmaskRule*>;

Rules rules_of(const DecodeTraits& traits) {
  Rules rules;
  for (const std::string& name : traits.rules) {
    const UnmaskRule* rule = find_unmask_rule(name);
    check(rule != nullptr, "a family names an unmask rule that does not exist");
    rules.push_back(rule);
  }
  check(!rules.empty(), "a family without unmask rules");
  return rules;
}

std::string names_of(const Rules& rules) {
  std::vector<std::string_view> names;
  for (const UnmaskRule* rule : rules) names.push_back(rule->name);
  return joined(names);
}

const UnmaskRule& named_rule(const std::string& alg, const Rules& family) {
  Rules by_name;
  for (const UnmaskRule* rule : family) {
    if (rule->chosen_by != RuleOption::kAlg) continue;
    if (rule->name == alg) return *rule;
    by_name.push_back(rule);
  }
  if (by_name.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "'alg': this model's family takes none, found '{}'; its rules ({}) are chosen by the "
         "options of the same names, quota by 'steps'",
         alg, names_of(family));
  }
  fail(ErrorCode::kInvalidArgument, "'alg': expected one of {}, found '{}'", names_of(by_name),
       alg);
}

const UnmaskRule& choose_rule(const GenerateOptions& options, const Rules& family) {
  if (options.alg) return named_rule(*options.alg, family);
  const UnmaskRule* chosen = nullptr;
  for (const UnmaskRule* rule : family) {
    if (rule->chosen_by == RuleOption::kAlg) continue;
    const auto use = std::find_if(kOptionUses.begin(), kOptionUses.end(),
                                  [&](const OptionUse& u) { return u.option == rule->chosen_by; });
    if (!use->given(options)) continue;
    if (chosen != nullptr && chosen->cached.has(rule->chosen_by)) continue;
    // As the reference, whose command line gives steps beside a threshold or a factor.
    if (chosen != nullptr && rule->chosen_by == RuleOption::kSteps) continue;
    const bool replaces = chosen == nullptr || chosen->chosen_by == RuleOption::kSteps;
    if (!replaces && !rule->cached.has(chosen->chosen_by)) {
      fail(ErrorCode::kInvalidArgument, "'{}' contradicts '{}'; give only one of them",
           name_of(chosen->chosen_by), use->name);
    }
    chosen = rule;
  }
  return chosen != nullptr ? *chosen : *family.front();
}

/// Every given option must be one that the rule takes with this cache.
void check_taken(const GenerateOptions& options, const UnmaskRule& rule, const CachePolicy& cache,
                 const Rules& family) {
  const OptionSet& takes = cache.keeps_rows ? rule.cached : rule.uncached;
  const OptionSet& otherwise = cache.keeps_rows ? rule.uncached : rule.cached;
  for (const OptionUse& use : kOptionUses) {
    if (use.option == RuleOption::kSteps) continue;  // ignored where there is no schedule
    if (!use.given(options) || takes.has(use.option)) continue;
    if (otherwise.has(use.option)) {
      fail(ErrorCode::kInvalidArgument, "'{}' contradicts 'cache' {}: the rule {} takes it only {}",
           use.name, cache.name, rule.name,
           cache.keeps_rows ? "with cache none" : "with cache prefix or dual");
    }
    Rules takers;
    for (const UnmaskRule* other : family) {
      if ((cache.keeps_rows ? other->cached : other->uncached).has(use.option)) {
        takers.push_back(other);
      }
    }
    if (takers.empty()) {
      fail(ErrorCode::kInvalidArgument,
           "'{}': no rule of this model's family takes it with cache {} (its rules: {}); leave it "
           "out",
           use.name, cache.name, names_of(family));
    }
    fail(ErrorCode::kInvalidArgument,
         "'{}': the rule {} does not take it with cache {}; those that do: {}{}", use.name,
         rule.name, cache.name, names_of(takers),
         rule.chosen_by == RuleOption::kAlg ? " (see 'alg')" : "");
  }
}

void check_number(std::string_view name, double value, double least, double greatest) {
  if (!(value >= least && value <= greatest)) {
    fail(ErrorCode::kInvalidArgument, "'{}': expected a number from {} to {}, found {}", name,
         least, greatest, value);
  }
}

/// What can be said of each option alone.
void check_ranges(const GenerateOptions& options, std::int32_t prompt_length) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  check(prompt_length >= 0, "a prompt of negative length");
  const std::int32_t gen_length = options.gen_length.value_or(kDefaultGenLength);
  if (gen_length <= 0) {
    fail(ErrorCode::kInvalidArgument, "'gen_length': expected a positive number, found {}",
         gen_length);
  }
  if (gen_length > std::numeric_limits<std::int32_t>::max() - prompt_length) {
    fail(ErrorCode::kInvalidArgument,
         "'gen_length': {} tokens after a prompt of {} are more than a canvas can hold", gen_length,
         prompt_length);
  }
  if (options.block_length && *options.block_length <= 0) {
    fail(ErrorCode::kInvalidArgument, "'block_length': expected a positive number, found {}",
         *options.block_length);
  }
  const std::int32_t most_steps = std::max(gen_length, kMaxIdleSteps);
  if (options.steps && (*options.steps <= 0 || *options.steps > most_steps)) {
    fail(ErrorCode::kInvalidArgument, "'steps': expected a number from 1 to {}, found {}",
         most_steps, *options.steps);
  }
  if (options.threshold) check_number("threshold", *options.threshold, 0, 1);
  if (options.factor && !(*options.factor > 0 && *options.factor <= kLargest)) {
    fail(ErrorCode::kInvalidArgument, "'factor': expected a positive number, found {}",
         *options.factor);
  }
  if (options.tokens_per_forward) {
    check_number("tokens_per_forward", *options.tokens_per_forward, 1, kMaxIdleSteps);
  }
  if (options.frechet) check_number("frechet", *options.frechet, 0, 1);
  if (options.entropy_bound)
    check_number("entropy_bound", *options.entropy_bound, 0, kMaxIdleSteps);
  if (options.margin) check_number("margin", *options.margin, 0, 1);
  if (options.relaxed_threshold) {
    check_number("relaxed_threshold", *options.relaxed_threshold, 0,
                 options.threshold.value_or(kDefaultThreshold));
  }
  if (options.early_commit) check_number("early_commit", *options.early_commit, 0, 1);
  check_number("temperature", options.temperature, 0, kGreatestTemperature);
  check_number("alg_temp", options.alg_temp, 0, kGreatestTemperature);
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail(ErrorCode::kInvalidArgument, "'top_p': expected a number above 0, up to 1, found {}",
         options.top_p);
  }
  if (options.top_k < 0) {
    fail(ErrorCode::kInvalidArgument,
         "'top_k': expected 0 (all tokens) or a positive number, found {}", options.top_k);
  }
  check_number("cfg_scale", options.cfg_scale, 0, kGreatestTemperature);
  for (const std::string& stop : options.stop) {
    if (stop.empty()) {
      fail(ErrorCode::kInvalidArgument, "'stop': expected a non-empty string, found an empty one");
    }
  }
}

std::int32_t block_length_of(const GenerateOptions& options, const DecodeSettings& settings) {
  const std::int32_t given =
      options.block_length.value_or(std::min(kDefaultBlockLength, settings.gen_length));
  if (!settings.rule->whole_canvas || settings.plan.cache->keeps_rows) {
    return std::min(given, settings.gen_length);
  }
  if (options.block_length && given < settings.gen_length) {
    fail(ErrorCode::kInvalidArgument,
         "'block_length' contradicts 'cache' {}: the rule {} then chooses from the whole canvas; "
         "leave block_length out (or equal to gen_length, {}), found {}; for blocks use cache "
         "prefix or dual",
         settings.plan.cache->name, settings.rule->name, settings.gen_length, given);
  }
  return settings.gen_length;
}

std::int32_t blocks_in(std::int32_t length, std::int32_t block_length) {
  return length / block_length + (length % block_length == 0 ? 0 : 1);
}

std::int32_t initial_length_of(const GenerateOptions& options, const DecodeSettings& settings,
                               CanvasKind kind) {
  if (!options.initial_length) return settings.gen_length;
  if (kind == CanvasKind::kInfilled) {
    fail(ErrorCode::kInvalidArgument,
         "'initial_length': an infilled canvas has its length; leave initial_length out");
  }
  if (settings.rule->whole_canvas && !settings.plan.cache->keeps_rows) {
    fail(ErrorCode::kInvalidArgument,
         "'initial_length' contradicts 'cache' {}: the rule {} then has no blocks by which the "
         "canvas could grow; use cache prefix or dual",
         settings.plan.cache->name, settings.rule->name);
  }
  const std::int32_t length = *options.initial_length;
  if (length < 1 || length > settings.gen_length) {
    fail(ErrorCode::kInvalidArgument,
         "'initial_length': expected a number from 1 to gen_length ({}), found {}",
         settings.gen_length, length);
  }
  return length;
}

std::int32_t steps_of(const GenerateOptions& options, const DecodeSettings& settings) {
  const UnmaskRule& rule = *settings.rule;
  if (!(settings.plan.cache->keeps_rows ? rule.cached : rule.uncached).has(RuleOption::kSteps))
    return 0;
  const std::int32_t steps = options.steps.value_or(settings.gen_length);
  if (steps < settings.blocks) {
    fail(ErrorCode::kInvalidArgument,
         "'steps': expected at least one for each of the {} blocks (gen_length {} / block_length "
         "{}), found {}",
         settings.blocks, settings.gen_length, settings.block_length, steps);
  }
  const std::int64_t of_a_block = std::int64_t{steps} * settings.block_length / settings.gen_length;
  if (settings.first_row && of_a_block < 2 && settings.block_length > 1) {
    fail(ErrorCode::kInvalidArgument,
         "'steps': {} is one step a block, of which the rule {} with cache {} would commit only "
         "the first position and leave the others masked; give at least {} steps, or 'correct'",
         steps, rule.name, settings.plan.cache->name,
         (2 * std::int64_t{settings.gen_length} - 1) / settings.block_length + 1);
  }
  return steps;
}

}  // namespace

Range DecodeSettings::block_range(std::int32_t block, std::int32_t prompt_length) const {
  const std::int32_t first_blocks = blocks_in(initial_length, block_length);
  const bool is_first = block < first_blocks;
  const std::int32_t begin =
      is_first ? block * block_length : initial_length + (block - first_blocks) * block_length;
  const std::int32_t limit = is_first ? initial_length : gen_length;
  return {prompt_length + begin, prompt_length + begin + std::min(block_length, limit - begin)};
}

std::int32_t DecodeSettings::steps_of(std::int32_t block) const {
  if (steps == 0) return 0;
  const Range positions = block_range(block, 0);
  const auto until = [this](std::int32_t position) {
    return std::int64_t{steps} * position / gen_length;
  };
  return static_cast<std::int32_t>(
      std::max<std::int64_t>(1, until(positions.end) - until(positions.begin)));
}

DecodeSettings resolve_settings(const GenerateOptions& options, const DecodeTraits& traits,
                                std::int32_t prompt_length, CanvasKind kind) {
  check_ranges(options, prompt_length);
  if (kind == CanvasKind::kInfilled && !options.stop.empty()) {
    fail(ErrorCode::kInvalidArgument, "'stop': infilling takes none, since text follows the holes");
  }
  DecodeSettings settings;
  settings.gen_length = options.gen_length.value_or(kDefaultGenLength);
  settings.plan.cache = &cache_policy(options.cache);
  if (options.cfg_scale > 0 && settings.plan.cache->keeps_rows) {
    fail(ErrorCode::kInvalidArgument,
         "'cfg_scale' contradicts 'cache' {}: guidance is for cache none only",
         settings.plan.cache->name);
  }
  const Rules family = rules_of(traits);
  settings.rule = &choose_rule(options, family);
  check_taken(options, *settings.rule, *settings.plan.cache, family);

  settings.block_length = block_length_of(options, settings);
  settings.plan = resolve_plan(options, settings.block_length);
  settings.initial_length = initial_length_of(options, settings, kind);
  settings.blocks = blocks_in(settings.initial_length, settings.block_length) +
                    blocks_in(settings.gen_length - settings.initial_length, settings.block_length);
  // Beyond the paper there is no reference whose quirks could be kept.
  settings.first_row = settings.plan.as_paper() && !options.initial_length &&
                       settings.rule->first_row && settings.plan.cache->keeps_rows &&
                       !options.correct && kind == CanvasKind::kContinued;
  settings.steps = steps_of(options, settings);
  settings.measure = settings.rule->measure;
  const bool is_raw = options.confidence == Confidence::kRaw;
  const bool by_raw = is_raw && settings.rule->has_bar;
  if (by_raw && settings.measure == Measure::kFilteredProbability) {
    settings.measure = Measure::kProbability;
  }
  settings.raw_distribution =
      by_raw || (is_raw && options.early_commit && !is_of_distribution(settings.measure));
  const OptionSet& takes =
      settings.plan.cache->keeps_rows ? settings.rule->cached : settings.rule->uncached;
  if (takes.has(RuleOption::kThreshold)) {
    settings.threshold = options.threshold.value_or(kDefaultThreshold);
  }
  if (takes.has(RuleOption::kFactor)) settings.factor = options.factor.value_or(1.0);
  settings.temperature = usable_temperature(options.temperature);
  settings.alg_temp = usable_temperature(options.alg_temp);
  settings.tokens_per_forward = options.tokens_per_forward.value_or(0);
  settings.frechet = options.frechet.value_or(0);
  settings.entropy_bound = options.entropy_bound.value_or(0);
  settings.margin = options.margin.value_or(0);
  settings.relaxed_threshold = options.relaxed_threshold.value_or(0);
  return settings;
}

GenerateOptions resolved_options(GenerateOptions options, const DecodeSettings& settings) {
  const UnmaskRule& rule = *settings.rule;
  const OptionSet& takes = settings.plan.cache->keeps_rows ? rule.cached : rule.uncached;
  options.gen_length = settings.gen_length;
  options.block_length = settings.block_length;
  if (rule.chosen_by == RuleOption::kAlg) options.alg = std::string(rule.name);
  options.steps.reset();
  if (takes.has(RuleOption::kSteps)) options.steps = settings.steps;
  options.temperature = settings.temperature;
  options.alg_temp = settings.alg_temp;
  if (takes.has(RuleOption::kThreshold)) options.threshold = settings.threshold;
  if (takes.has(RuleOption::kFactor)) options.factor = settings.factor;
  if (options.refresh == RefreshKind::kVicinity) {
    options.refresh_radius = settings.plan.refresh_radius;
  }
  if (options.refresh == RefreshKind::kDrift) options.refresh_drift = settings.plan.refresh_drift;
  return options;
}

void validate_options(const GenerateOptions& options, const DecodeTraits& traits,
                      std::int32_t prompt_length, CanvasKind kind) {
  resolve_settings(options, traits, prompt_length, kind);
}

}  // namespace fdllm
