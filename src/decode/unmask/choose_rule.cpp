#include "decode/unmask/choose_rule.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/check.h"
#include "decode/unmask/family_habits.h"
#include "decode/unmask/lookup.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

using Rules = std::vector<const UnmaskRule*>;

std::string names_of(const Rules& rules) {
  std::string names;
  for (const UnmaskRule* rule : rules) {
    names += (names.empty() ? "" : ", ") + std::string(rule->name);
  }
  return names;
}

bool takes(const UnmaskRule& rule, const RuleNumber& number) {
  const auto& others = rule.numbers;
  return rule.chosen_by == &number ||
         std::find(others.begin(), others.end(), &number) != others.end();
}

const UnmaskRule& named_rule(const std::string& alg, const Rules& family) {
  Rules by_name;
  for (const UnmaskRule* rule : family) {
    if (rule->chosen_by != nullptr) continue;
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

const UnmaskRule& chosen_rule(const GenerateOptions& options, const Rules& family) {
  if (options.rule.alg) return named_rule(*options.rule.alg, family);
  const UnmaskRule* chosen = nullptr;
  for (const UnmaskRule* rule : family) {
    if (rule->chosen_by == nullptr || !given_number(options, *rule->chosen_by)) continue;
    if (chosen != nullptr && takes(*chosen, *rule->chosen_by)) continue;
    // As the reference, whose command line gives steps beside a threshold or a factor.
    if (chosen != nullptr && rule->chosen_by == &kSteps) continue;
    const bool replaces = chosen == nullptr || chosen->chosen_by == &kSteps;
    if (!replaces && !takes(*rule, *chosen->chosen_by)) {
      fail(ErrorCode::kInvalidArgument, "'{}' contradicts '{}'; give only one of them",
           chosen->chosen_by->name, rule->chosen_by->name);
    }
    chosen = rule;
  }
  return chosen != nullptr ? *chosen : *family.front();
}

/// What was given is nothing that the rule takes.
[[noreturn]] void refuse(std::string_view option, const UnmaskRule& rule, const Rules& takers,
                         const Rules& family) {
  if (takers.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "'{}': no rule of this model's family takes it (its rules: {}); leave it out", option,
         names_of(family));
  }
  fail(ErrorCode::kInvalidArgument, "'{}': the rule {} does not take it; those that do: {}{}",
       option, rule.name, names_of(takers), rule.chosen_by == nullptr ? " (see 'alg')" : "");
}

template <typename Takes>
Rules filtered(const Rules& family, const Takes& takes_it) {
  Rules takers;
  std::copy_if(family.begin(), family.end(), std::back_inserter(takers),
               [&](const UnmaskRule* rule) { return takes_it(*rule); });
  return takers;
}

}  // namespace

std::optional<double> given_number(const GenerateOptions& options, const RuleNumber& number) {
  const std::optional<double> value = options.rule.get(number.name);
  return value && *value >= number.used_from ? value : std::nullopt;
}

bool has_schedule(const UnmaskRule& rule, const CachePolicy& cache) {
  return rule.schedule == Schedule::kAlways ||
         (rule.schedule == Schedule::kUncached && !cache.keeps_rows);
}

const UnmaskRule& choose_rule(const GenerateOptions& options, ReferenceFamily reference) {
  const Rules family = rules_of(reference);
  check(!family.empty(), "a family without unmask rules");
  const UnmaskRule& rule = chosen_rule(options, family);
  for (const RuleNumber* number : rule_numbers()) {
    if (number == &kSteps || is_modifier(*number)) continue;
    if (!given_number(options, *number) || takes(rule, *number)) continue;
    refuse(number->name, rule,
           filtered(family, [&](const UnmaskRule& other) { return takes(other, *number); }),
           family);
  }
  const FamilyHabits& habits = habits_of(reference);
  const auto takes_random = [&](const UnmaskRule& of) {
    return habits.random_confidence && !is_of_distribution(of.measure);
  };
  if (options.remasking != Remasking::kLowConfidence && !takes_random(rule)) {
    refuse("remasking", rule, filtered(family, takes_random), family);
  }
  if (options.cfg_scale != 0 && !habits.guidance) refuse("cfg_scale", rule, {}, family);
  return rule;
}

std::vector<NumberValue> resolve_numbers(const GenerateOptions& options, const UnmaskRule& rule) {
  std::vector<NumberValue> values;
  const auto add = [&](const RuleNumber& number) {
    const std::optional<double> given = given_number(options, number);
    check(given || number.otherwise, "a number without a default that isn't given");
    values.push_back({&number, given ? *given : *number.otherwise});
  };
  if (rule.chosen_by != nullptr && rule.chosen_by != &kSteps) add(*rule.chosen_by);
  for (const RuleNumber* number : rule.numbers) add(*number);
  for (const NumberValue& entry : values) {
    if (entry.number->at_most == nullptr) continue;
    const double most = value_of(*entry.number->at_most, values);
    if (entry.value <= most) continue;
    fail(ErrorCode::kInvalidArgument, "'{}': expected a number from {} to {} ('{}'), found {}",
         entry.number->name, entry.number->range.least, most, entry.number->at_most->name,
         entry.value);
  }
  return values;
}

}  // namespace fdllm
