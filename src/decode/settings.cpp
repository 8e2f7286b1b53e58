#include "decode/settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "decode/blocks/block_options.h"
#include "decode/options/presets.h"
#include "decode/unmask/choose_rule.h"
#include "decode/unmask/registry.h"

namespace fdllm {
namespace {

constexpr std::int32_t kDefaultBlockLength = 32;
// More steps than positions only lengthen the schedule; without a limit they would be walked over.
constexpr std::int32_t kMaxIdleSteps = 65536;
// Below, logits / temperature could leave the range of float.
constexpr double kLeastTemperature = 1e-4;

void check_range(const GenerateOption& option, double value) {
  const NumberRange& range = *option.range;
  const bool is_whole = option.kind == GenerateOption::Kind::kInteger;
  if (range.contains(value) && (!is_whole || value == std::floor(value))) return;
  const char* number = is_whole ? "a whole number" : "a number";
  const std::string_view least = range.above_least ? "above" : "of at least";
  if (range.greatest == NumberRange::kOpen) {
    fail(ErrorCode::kInvalidArgument, "'{}': expected {} {} {}, found {}", option.field(), number,
         least, range.least, value);
  }
  if (range.above_least) {
    fail(ErrorCode::kInvalidArgument, "'{}': expected {} above {}, up to {}, found {}",
         option.field(), number, range.least, range.greatest, value);
  }
  fail(ErrorCode::kInvalidArgument, "'{}': expected {} from {} to {}, found {}", option.field(),
       number, range.least, range.greatest, value);
}

/// What can be said of each option alone.
void check_ranges(const GenerateOptions& options, std::int32_t prompt_length) {
  check(prompt_length >= 0, "a prompt of negative length");
  for (const GenerateOption& option : generate_options()) {
    const std::optional<double> value = option.read_number(option, options);
    if (value && option.range) check_range(option, *value);
  }
  const std::int32_t gen_length = options.gen_length.value_or(kDefaultGenLength);
  if (gen_length > std::numeric_limits<std::int32_t>::max() - prompt_length) {
    fail(ErrorCode::kInvalidArgument,
         "'gen_length': {} tokens after a prompt of {} are more than a canvas can hold", gen_length,
         prompt_length);
  }
  const std::optional<double> steps = options.rule.get("steps");
  const std::int32_t most_steps = std::max(gen_length, kMaxIdleSteps);
  if (steps && *steps > most_steps) {
    fail(ErrorCode::kInvalidArgument, "'steps': expected a number from 1 to {}, found {}",
         most_steps, *steps);
  }
  if (options.stop.size() > kMaxStops) {
    fail(ErrorCode::kInvalidArgument, "'stop': expected at most {} strings, found {}", kMaxStops,
         options.stop.size());
  }
  for (const std::string& stop : options.stop) {
    const std::size_t length = count_characters(stop);
    if (length == 0) {
      fail(ErrorCode::kInvalidArgument, "'stop': expected a non-empty string, found an empty one");
    }
    if (length > kMaxStopLength) {
      fail(ErrorCode::kInvalidArgument, "'stop': expected at most {} characters, found {}",
           kMaxStopLength, length);
    }
  }
}

std::int32_t block_length_of(const GenerateOptions& options, const DecodeSettings& settings) {
  const std::int32_t given =
      options.block_length.value_or(std::min(kDefaultBlockLength, settings.gen_length));
  if (!settings.habits->whole_canvas || settings.plan.cache->keeps_rows) {
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
  if (settings.habits->whole_canvas && !settings.plan.cache->keeps_rows) {
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
  if (!has_schedule(rule, *settings.plan.cache)) return 0;
  const auto steps =
      static_cast<std::int32_t>(options.rule.get("steps").value_or(settings.gen_length));
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

/// What rule and modifiers go by, and what is asked of the head for it.
void choose_measure(const GenerateOptions& options, DecodeSettings& settings) {
  const bool is_raw = options.confidence == Confidence::kRaw;
  const bool by_raw = is_raw && settings.rule->has_bar;
  settings.measure = settings.rule->measure;
  if (settings.measure == Measure::kProbability && !by_raw) {
    settings.measure = settings.habits->probability;
  }
  const bool modifier_needs =
      std::any_of(settings.modifiers.begin(), settings.modifiers.end(),
                  [](const GivenModifier& given) { return given.modifier->needs_distribution; });
  settings.needs_distribution = modifier_needs || is_of_distribution(settings.measure);
  settings.raw_distribution =
      by_raw || (is_raw && modifier_needs && !is_of_distribution(settings.measure));
}

void fill_in_rule(const DecodeSettings& settings, RuleOptions& rule) {
  rule = {};
  if (settings.rule->chosen_by == nullptr) rule.alg = std::string(settings.rule->name);
  if (settings.steps > 0) rule.set("steps", settings.steps);
  for (const NumberValue& entry : settings.numbers) rule.set(entry.number->name, entry.value);
  for (const GivenModifier& given : settings.modifiers) {
    rule.set(given.modifier->number->name, given.value);
  }
}

/// Writes into the options what the settings have come to.
void fill_in(DecodeSettings& settings) {
  GenerateOptions& options = settings.options;
  options.gen_length = settings.gen_length;
  options.block_length = settings.block_length;
  options.temperature = settings.temperature;
  if (settings.sub_block_length > 0) {
    options.fuse_store = settings.fuse_store;
    if (settings.habits->sub_block_length > 0) {
      options.sub_block_length = settings.sub_block_length;
      options.block_cache = settings.block_cache;
    }
  } else {
    fill_in_rows(settings.plan, options);
  }
  fill_in_rule(settings, options.rule);
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

bool DecodeSettings::confidence_is_probability() const {
  return options.remasking == Remasking::kLowConfidence && !is_of_distribution(measure);
}

bool DecodeSettings::depends_on_seed() const {
  return temperature > 0 || options.remasking == Remasking::kRandom ||
         (rule->draws != nullptr && rule->draws(numbers));
}

DecodeSettings resolve_settings(const GenerateOptions& given, const DecodeTraits& traits,
                                std::int32_t prompt_length, CanvasKind kind) {
  DecodeSettings settings;
  settings.options = with_preset(given);
  settings.kind = kind;
  const GenerateOptions& options = settings.options;
  check_ranges(options, prompt_length);
  if (kind == CanvasKind::kInfilled && !options.stop.empty()) {
    fail(ErrorCode::kInvalidArgument, "'stop': infilling takes none, since text follows the holes");
  }
  refuse_options_of_others(options, traits, kind);
  settings.gen_length = options.gen_length.value_or(kDefaultGenLength);
  settings.plan.cache = &cache_policy(options.cache.value_or(kDefaultCache));
  if (options.cfg_scale > 0 && settings.plan.cache->keeps_rows) {
    fail(ErrorCode::kInvalidArgument,
         "'cfg_scale' contradicts 'cache' {}: guidance is for cache none only",
         settings.plan.cache->name);
  }
  settings.habits = &habits_of(traits.reference);
  settings.rule = &choose_rule(options, traits.reference);
  settings.numbers = resolve_numbers(options, *settings.rule);
  for (const UnmaskModifier* modifier : unmask_modifiers()) {
    const std::optional<double> value = given_number(options, *modifier->number);
    if (value) settings.modifiers.push_back({modifier, *value});
  }
  if (traits.causal_block > 0) {
    resolve_blocks(options, traits, prompt_length, settings);
  } else {
    settings.block_length = block_length_of(options, settings);
  }
  settings.plan = resolve_plan(options, settings.block_length);
  settings.initial_length = initial_length_of(options, settings, kind);
  settings.blocks = blocks_in(settings.initial_length, settings.block_length) +
                    blocks_in(settings.gen_length - settings.initial_length, settings.block_length);
  // Beyond the paper there is no reference whose quirks could be kept.
  settings.first_row = settings.plan.as_paper() && !options.initial_length &&
                       settings.habits->first_row && settings.plan.cache->keeps_rows &&
                       !options.correct && kind == CanvasKind::kContinued;
  settings.steps = steps_of(options, settings);
  settings.temperature = options.temperature < kLeastTemperature ? 0 : options.temperature;
  choose_measure(options, settings);
  fill_in(settings);
  return settings;
}

}  // namespace fdllm
