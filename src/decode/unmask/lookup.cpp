#include "decode/unmask/lookup.h"

#include <algorithm>

#include "base/check.h"
#include "decode/unmask/shared_numbers.h"

namespace fdllm {
namespace {

bool same_name(std::string_view declared, std::string_view name) {
  return std::equal(declared.begin(), declared.end(), name.begin(), name.end(),
                    [](char a, char b) { return a == (b == '-' ? '_' : b); });
}

std::vector<const RuleNumber*> declared_numbers() {
  std::vector<const RuleNumber*> numbers;
  const auto add = [&](const RuleNumber* number) {
    if (number != nullptr && std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
      numbers.push_back(number);
    }
  };
  for (const UnmaskRule* rule : unmask_rules()) {
    add(rule->chosen_by);
    if (rule->schedule != Schedule::kNone) add(&kSteps);
    for (const RuleNumber* number : rule->numbers) add(number);
  }
  for (const UnmaskModifier* modifier : unmask_modifiers()) add(modifier->number);
  return numbers;
}

}  // namespace

std::vector<const UnmaskRule*> rules_of(ReferenceFamily family) {
  std::vector<const UnmaskRule*> rules;
  for (const UnmaskRule* rule : unmask_rules()) {
    if (rule->only_for.value_or(family) == family) rules.push_back(rule);
  }
  return rules;
}

const std::vector<const RuleNumber*>& rule_numbers() {
  static const std::vector<const RuleNumber*> kNumbers = declared_numbers();
  return kNumbers;
}

const RuleNumber* find_rule_number(std::string_view name) {
  for (const RuleNumber* number : rule_numbers()) {
    if (same_name(number->name, name)) return number;
  }
  return nullptr;
}

bool chooses_rule(const RuleNumber& number) {
  const auto rules = unmask_rules();
  return std::any_of(rules.begin(), rules.end(),
                     [&](const UnmaskRule* rule) { return rule->chosen_by == &number; });
}

bool is_modifier(const RuleNumber& number) {
  const auto modifiers = unmask_modifiers();
  return std::any_of(modifiers.begin(), modifiers.end(),
                     [&](const UnmaskModifier* modifier) { return modifier->number == &number; });
}

double value_of(const RuleNumber& number, std::span<const NumberValue> values) {
  for (const NumberValue& entry : values) {
    if (entry.number == &number) return entry.value;
  }
  check(false, "an unmask rule reads a number that it doesn't declare");
  return 0;
}

double measured(Measure measure, const Score& score) {
  switch (measure) {
    case Measure::kProbability:
      return score.confidence;
    case Measure::kFilteredProbability:
      return score.filtered_confidence;
    case Measure::kMargin:
      return score.margin;
    case Measure::kEntropy:
      return score.entropy;
  }
  return 0;
}

}  // namespace fdllm
