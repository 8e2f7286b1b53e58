#include "decode/unmask/rule_options.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/quote.h"
#include "decode/options/entry.h"
#include "decode/unmask/lookup.h"

namespace fdllm {
namespace {

const RuleNumber& declared(std::string_view name) {
  const RuleNumber* number = find_rule_number(name);
  if (number != nullptr) return *number;
  std::string names;
  for (const RuleNumber* each : rule_numbers()) {
    names += (names.empty() ? "" : ", ") + std::string(each->name);
  }
  fail(ErrorCode::kInvalidArgument, "{}: no unmask rule has a number of that name; there are {}",
       quote(name), names);
}

std::string number_text(const RuleNumber& number, double value) {
  return number.whole ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
}

GenerateOption option_of(const RuleNumber& number) {
  GenerateOption option;
  option.name = number.name;
  std::replace(option.name.begin(), option.name.end(), '_', '-');
  option.kind = number.whole ? GenerateOption::Kind::kInteger : GenerateOption::Kind::kNumber;
  option.common = number.common;
  option.value_name = number.value_name;
  option.help = number.help;
  if (number.otherwise) option.otherwise = number_text(number, *number.otherwise);
  option.range = number.range;
  option.store = [](const GenerateOption& self, GenerateOptions& options, std::string_view value) {
    std::int32_t whole = 0;
    double parsed = 0;
    if (self.kind == GenerateOption::Kind::kInteger) {
      parse_option(self, value, whole);
      parsed = whole;
    } else {
      parse_option(self, value, parsed);
    }
    options.rule.set(self.name, parsed);
  };
  option.read = [](const GenerateOption& self,
                   const GenerateOptions& options) -> std::optional<std::string> {
    const std::optional<double> value = options.rule.get(self.name);
    if (!value) return std::nullopt;
    return number_text(declared(self.name), *value);
  };
  option.read_number = [](const GenerateOption& self, const GenerateOptions& options) {
    return options.rule.get(self.name);
  };
  return option;
}

/// The option that chooses a rule by its name.
GenerateOption alg_option() {
  std::string names;
  for (const UnmaskRule* rule : unmask_rules()) {
    if (rule->chosen_by != nullptr) continue;
    names += (names.empty() ? "" : ", ") + std::string(rule->name);
  }
  GenerateOption option;
  option.name = "alg";
  option.value_name = "A";
  option.help = fmt::format("the rule of that name, where the model's family has it: {}", names);
  option.store = [](const GenerateOption& self, GenerateOptions& options, std::string_view value) {
    parse_option(self, value, options.rule.alg);
  };
  option.read = [](const GenerateOption&, const GenerateOptions& options) {
    return options.rule.alg;
  };
  option.read_number = [](const GenerateOption&, const GenerateOptions&) {
    return std::optional<double>();
  };
  return option;
}

}  // namespace

std::vector<GenerateOption> rule_options() {
  std::vector<GenerateOption> options;
  for (const RuleNumber* number : rule_numbers()) {
    if (!is_modifier(*number)) options.push_back(option_of(*number));
  }
  options.push_back(alg_option());
  return options;
}

std::vector<GenerateOption> modifier_options() {
  std::vector<GenerateOption> options;
  for (const UnmaskModifier* modifier : unmask_modifiers()) {
    options.push_back(option_of(*modifier->number));
  }
  return options;
}

RuleOptions& RuleOptions::set(std::string_view name, double value) {
  const std::string_view own = declared(name).name;
  for (auto& [known, number] : numbers_) {
    if (known != own) continue;
    number = value;
    return *this;
  }
  numbers_.emplace_back(own, value);
  return *this;
}

std::optional<double> RuleOptions::get(std::string_view name) const {
  const std::string_view own = declared(name).name;
  for (const auto& [known, number] : numbers_) {
    if (known == own) return number;
  }
  return std::nullopt;
}

void RuleOptions::reset(std::string_view name) {
  const std::string_view own = declared(name).name;
  std::erase_if(numbers_, [&](const auto& entry) { return entry.first == own; });
}

}  // namespace fdllm
