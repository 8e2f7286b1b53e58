// Every option of a request, in the order of the help. What rules and rows have is declared there.
#include <algorithm>
#include <iterator>

#include "decode/cache/row_options.h"
#include "decode/options/entry.h"
#include "decode/options/presets.h"
#include "decode/unmask/rule_options.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;
using Group = GenerateOption::Group;

// Above, a softmax is uniform anyway.
constexpr NumberRange kTemperatures = {.greatest = 100};

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets()) {
    names += (names.empty() ? "" : "|") + std::string(preset.name);
  }
  return names;
}

std::vector<GenerateOption> length_options() {
  return {
      member_option<&Options::preset>(
          {.name = "preset",
           .common = true,
           .value_name = preset_names(),
           .help = "several of the options below at once; those given beside it count more"}),
      member_option<&Options::gen_length>(
          {.name = "gen-length",
           .common = true,
           .value_name = "N",
           .help = "masked tokens after the prompt (default 128, or what a longer prompt leaves of "
                   "the model's positions)",
           .range = NumberRange{.least = 1}}),
      member_option<&Options::block_length>(
          {.name = "block-length",
           .common = true,
           .value_name = "N",
           .help = "tokens of a block; the last one is shorter where N doesn't divide gen-length "
                   "(default 32; uncached Dream has no blocks)",
           .range = NumberRange{.least = 1}}),
      member_option<&Options::initial_length>(
          {.name = "initial-length",
           .value_name = "N",
           .help = "begin with N masks and grow while no end token is confident: gen-length is "
                   "then a limit (default: gen-length)",
           .range = NumberRange{.least = 1}}),
  };
}

std::vector<GenerateOption> sampling_options() {
  return {
      member_option<&Options::temperature>({.name = "temperature",
                                            .group = Group::kSampling,
                                            .common = true,
                                            .value_name = "T",
                                            .help = "0, or below 0.0001: greedy",
                                            .otherwise = "0",
                                            .range = kTemperatures}),
      member_option<&Options::top_p>(
          {.name = "top-p",
           .group = Group::kSampling,
           .common = true,
           .value_name = "P",
           .help = "draw from the likeliest tokens whose probability together exceeds P; 1: all",
           .otherwise = "1",
           .range = NumberRange{.greatest = 1, .above_least = true}}),
      member_option<&Options::top_k>(
          {.name = "top-k",
           .group = Group::kSampling,
           .value_name = "K",
           .help = "draw from the K likeliest tokens; 0: all (the reference's Dream has 50 unless "
                   "told otherwise)",
           .otherwise = "0",
           .range = NumberRange{}}),
      member_option<&Options::seed>({.name = "seed",
                                     .group = Group::kSampling,
                                     .common = true,
                                     .value_name = "N",
                                     .help = "of this request's random numbers; -1 is 2^64 - 1",
                                     .otherwise = "0"}),
      member_option<&Options::remasking>(
          {.name = "remasking",
           .group = Group::kSampling,
           .value_name = "low_confidence|random",
           .help = "LLaDA: where the confidence comes from, the token's probability or a random "
                   "number",
           .otherwise = "low_confidence"}),
      member_option<&Options::cfg_scale>(
          {.name = "cfg-scale",
           .group = Group::kSampling,
           .value_name = "S",
           .help = "LLaDA: classifier-free guidance, two forwards a step, cache none only",
           .otherwise = "0",
           .range = NumberRange{.greatest = 100}}),
  };
}

std::vector<GenerateOption> end_options() {
  return {
      member_option<&Options::stop>({.name = "stop",
                                     .group = Group::kEnd,
                                     .common = true,
                                     .value_name = "TEXT",
                                     .help = "stop string; may be given several times"}),
      member_option<&Options::eos_stop>(
          {.name = "eos-stop",
           .group = Group::kEnd,
           .help = "stop when no mask precedes the first end token; off: fill the whole canvas, "
                   "as the reference does",
           .otherwise = "true"}),
      member_option<&Options::ignore_eos>(
          {.name = "ignore-eos",
           .group = Group::kEnd,
           .help = "the end tokens get no probability: exactly gen-length tokens",
           .otherwise = "false"}),
  };
}

std::vector<GenerateOption> reference_options() {
  return {
      member_option<&Options::confidence>(
          {.name = "confidence",
           .group = Group::kReference,
           .value_name = "raw|reference",
           .help = "what rules with a bar compare with it: the probability under the raw logits, "
                   "or as the reference, which takes Dream's after temperature, top-p and top-k",
           .otherwise = "raw"}),
      member_option<&Options::correct>(
          {.name = "correct",
           .group = Group::kReference,
           .help = "without the reference's quirks: Dream's unconditional first token of a block, "
                   "the factor walk's failing last token, the order of equal confidences",
           .otherwise = "false"}),
      member_option<&Options::logits_eos_inf>(
          {.name = "logits-eos-inf",
           .group = Group::kReference,
           .help = "as in LLaDA's generate: the EOS token gets no probability",
           .otherwise = "false"}),
      member_option<&Options::confidence_eos_eot_inf>(
          {.name = "confidence-eos-eot-inf",
           .group = Group::kReference,
           .help = "as in LLaDA's generate: the end tokens have the least confidence, so that they "
                   "are committed last",
           .otherwise = "false"}),
  };
}

void append(std::vector<GenerateOption>& table, std::vector<GenerateOption> options) {
  for (GenerateOption& option : options) {
    if (!option.otherwise.empty()) {
      const bool is_flag = option.kind == GenerateOption::Kind::kFlag;
      const std::string_view on_off = option.otherwise == "true" ? "on" : "off";
      option.help += fmt::format(" (default {})", is_flag ? on_off : option.otherwise);
    }
    table.push_back(std::move(option));
  }
}

std::vector<GenerateOption> all_options() {
  std::vector<GenerateOption> table;
  append(table, length_options());
  append(table, row_options());
  append(table, rule_options());
  append(table, sampling_options());
  append(table, end_options());
  append(table, reference_options());
  return table;
}

}  // namespace

const std::vector<GenerateOption>& generate_options() {
  static const std::vector<GenerateOption> kOptions = all_options();
  return kOptions;
}

const GenerateOption* find_generate_option(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  const auto& options = generate_options();
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const GenerateOption& o) { return o.name == dashed; });
  return found == options.end() ? nullptr : &*found;
}

void GenerateOption::set(GenerateOptions& options, std::string_view value) const {
  store(*this, options, value);
}

std::optional<std::string> GenerateOption::text(const GenerateOptions& options) const {
  return read(*this, options);
}

}  // namespace fdllm
