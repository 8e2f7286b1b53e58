// Every option of a request, in the order of the help. What rules and rows have is declared there.
#include <algorithm>
#include <iterator>

#include "decode/blocks/block_options.h"
#include "decode/cache/row_options.h"
#include "decode/options/entry.h"
#include "decode/options/presets.h"
#include "decode/unmask/rule_options.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;

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
      common(option<&Options::preset>(
          "preset", preset_names(),
          "several decoding options at once; those given beside it count more")),
      common(option<&Options::gen_length>(
          "gen-length", "N",
          "masked tokens after the prompt (default 128, or what a longer prompt leaves of "
          "the model's positions)",
          "", NumberRange{.least = 1})),
      common(option<&Options::block_length>(
          "block-length", "N",
          "tokens of a block; the last one is shorter where N doesn't divide gen-length "
          "(default 32, or what a model of whole blocks says; uncached Dream has no blocks)",
          "", NumberRange{.least = 1})),
      option<&Options::initial_length>(
          "initial-length", "N",
          "begin with N masks and grow while no end token is confident: gen-length is "
          "then a limit (default: gen-length)",
          "", NumberRange{.least = 1}),
  };
}

std::vector<GenerateOption> sampling_options() {
  return {
      common(option<&Options::temperature>("temperature", "T", "0, or below 0.0001: greedy", "0",
                                           kTemperatures)),
      common(option<&Options::top_p>(
          "top-p", "P",
          "draw from the likeliest tokens whose probability together exceeds P; 1: all", "1",
          NumberRange{.greatest = 1, .above_least = true})),
      option<&Options::top_k>(
          "top-k", "K",
          "draw from the K likeliest tokens; 0: all (the reference's Dream has 50 unless "
          "told otherwise)",
          "0", NumberRange{}),
      common(option<&Options::seed>("seed", "N", "of this request's random numbers; -1 is 2^64 - 1",
                                    "0")),
      option<&Options::remasking>(
          "remasking", "low_confidence|random",
          "LLaDA: where the confidence comes from, the token's probability or a random "
          "number",
          "low_confidence"),
      option<&Options::cfg_scale>(
          "cfg-scale", "S", "LLaDA: classifier-free guidance, two forwards a step, cache none only",
          "0", NumberRange{.greatest = 100}),
  };
}

std::vector<GenerateOption> end_options() {
  return {
      common(option<&Options::stop>("stop", "TEXT", "stop string; may be given several times")),
      option<&Options::eos_stop>(
          "eos-stop", "",
          "stop when no mask precedes the first end token; off: fill the whole canvas, "
          "as the reference does",
          "true"),
      option<&Options::ignore_eos>("ignore-eos", "",
                                   "the end tokens get no probability: exactly gen-length tokens",
                                   "false"),
  };
}

std::vector<GenerateOption> reference_options() {
  return {
      option<&Options::confidence>(
          "confidence", "raw|reference",
          "what rules with a bar compare with it: the probability under the raw logits, "
          "or as the reference, which takes Dream's after temperature, top-p and top-k",
          "raw"),
      option<&Options::correct>(
          "correct", "",
          "without the reference's quirks: Dream's unconditional first token of a block, "
          "the factor walk's failing last token, the order of equal confidences",
          "false"),
      option<&Options::logits_eos_inf>("logits-eos-inf", "",
                                       "as in LLaDA's generate: the EOS token gets no probability",
                                       "false"),
      option<&Options::confidence_eos_eot_inf>(
          "confidence-eos-eot-inf", "",
          "as in LLaDA's generate: the end tokens have the least confidence, so that they "
          "are committed last",
          "false"),
  };
}

void append(std::vector<GenerateOption>& table, std::string_view group,
            std::vector<GenerateOption> options) {
  for (GenerateOption& option : options) {
    option.group = group;
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
  append(table, "Lengths", length_options());
  append(table, "Rows", row_options());
  append(table, "Models of whole blocks", block_options());
  append(table, "Unmask rules", rule_options());
  append(table, "Beside any rule", modifier_options());
  append(table, "Sampling", sampling_options());
  append(table, "Where an answer ends", end_options());
  append(table, "As the reference", reference_options());
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
