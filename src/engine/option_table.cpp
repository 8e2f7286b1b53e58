#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "fastdllm/options.h"

#include "base/check.h"
#include "base/quote.h"
#include "engine/presets.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;

[[noreturn]] void bad_value(const GenerateOption& option, std::string_view expected,
                            std::string_view value) {
  fail(ErrorCode::kInvalidArgument, "--{}: expected {}, found {}", option.name, expected,
       quote(value));
}

template <typename T>
void parse_number(const GenerateOption& option, std::string_view expected, std::string_view value,
                  T& result) {
  const char* end = value.data() + value.size();
  T parsed{};
  const auto [stop, error] = std::from_chars(value.data(), end, parsed);
  if (error != std::errc{} || stop != end) bad_value(option, expected, value);
  result = parsed;
}

/// The values of an option that takes one of several words: "none|prefix|dual".
std::vector<std::string_view> words_of(const GenerateOption& option) {
  std::vector<std::string_view> words;
  std::string_view rest = option.value_name;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('|'), rest.size());
    words.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return words;
}

std::size_t word_index(const GenerateOption& option, std::string_view value) {
  const std::vector<std::string_view> words = words_of(option);
  std::string expected;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == value) return i;
    expected += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    expected += words[i];
  }
  bad_value(option, expected, value);
}

void parse(const GenerateOption& option, std::string_view value, std::int32_t& result) {
  parse_number(option, "an integer", value, result);
}
/// Negative ones in two's complement: -1 is 2^64 - 1.
void parse(const GenerateOption& option, std::string_view value, std::uint64_t& result) {
  constexpr std::string_view kExpected = "an integer from -2^63 to 2^64 - 1";
  if (!value.starts_with('-')) return parse_number(option, kExpected, value, result);
  std::int64_t negative = 0;
  parse_number(option, kExpected, value, negative);
  result = static_cast<std::uint64_t>(negative);
}
void parse(const GenerateOption& option, std::string_view value, double& result) {
  double parsed = 0;
  parse_number(option, "a number", value, parsed);
  if (!std::isfinite(parsed)) bad_value(option, "a finite number", value);
  result = parsed;
}
void parse(const GenerateOption& option, std::string_view value, bool& result) {
  if (value != "true" && value != "false") bad_value(option, "true or false", value);
  result = value == "true";
}
void parse(const GenerateOption& option, std::string_view value, std::string& result) {
  if (option.value_name.find('|') != std::string_view::npos) word_index(option, value);
  result = value;
}
void parse(const GenerateOption& option, std::string_view value, std::vector<std::string>& result) {
  if (value.empty()) bad_value(option, "a text that isn't empty", value);
  result.emplace_back(value);
}
/// The words are the enumerators, in their order.
template <typename Enum>
requires std::is_enum_v<Enum>
void parse(const GenerateOption& option, std::string_view value, Enum& result) {
  result = static_cast<Enum>(word_index(option, value));
}
template <typename T>
void parse(const GenerateOption& option, std::string_view value, std::optional<T>& result) {
  T parsed{};
  parse(option, value, parsed);
  result = std::move(parsed);
}

using Text = std::optional<std::string>;

template <typename T>
Text text_of(const GenerateOption& option, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(words_of(option)[static_cast<std::size_t>(value)]);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return std::nullopt;
  } else {
    return fmt::format("{}", value);
  }
}
template <typename T>
Text text_of(const GenerateOption& option, const std::optional<T>& value) {
  return value ? text_of(option, *value) : std::nullopt;
}

using Kind = GenerateOption::Kind;

/// The entry of the option that is kept in `Member`.
template <auto Member>
GenerateOption entry(std::string_view name, Kind kind, std::string_view value_name,
                     std::string_view help) {
  return {name,
          kind,
          value_name,
          help,
          [](const GenerateOption& option, Options& options, std::string_view value) {
            parse(option, value, options.*Member);
          },
          [](const GenerateOption& option, const Options& options) {
            return text_of(option, options.*Member);
          }};
}

const std::vector<GenerateOption> kOptions = {
    entry<&Options::preset>(
        "preset", Kind::kText, "exact|paper|fast|turbo",
        "sets several of the options below at once; those given beside it count more"),
    entry<&Options::gen_length>("gen-length", Kind::kInteger, "N",
                                "masked tokens after the prompt (default 128, or what a longer "
                                "prompt leaves of the model's positions)"),
    entry<&Options::block_length>(
        "block-length", Kind::kInteger, "N",
        "tokens of a block; the last one is shorter where N doesn't divide gen-length (default 32; "
        "uncached Dream has no blocks)"),
    entry<&Options::cache>("cache", Kind::kText, "none|prefix|dual",
                           "K/V kept between the steps of a block (default dual)"),
    entry<&Options::query>(
        "query", Kind::kText, "all|masked",
        "rows of its window that a step recomputes; masked: those still masked and those just "
        "committed (default all)"),
    entry<&Options::query_before>(
        "query-before", Kind::kInteger, "N",
        "recompute the N rows before the live block in every step too (default 0)"),
    entry<&Options::refresh>(
        "refresh", Kind::kText, "block|vicinity|drift|never",
        "what is recomputed when a block begins: the whole canvas, the rows around the block, the "
        "canvas only where confidence has fallen, or nothing (default block)"),
    entry<&Options::refresh_interval>(
        "refresh-interval", Kind::kInteger, "K",
        "recompute the whole canvas at every K-th block (default 1 with refresh block, else "
        "never)"),
    entry<&Options::refresh_radius>(
        "refresh-radius", Kind::kInteger, "N",
        "refresh vicinity: rows before and after the block (default block-length)"),
    entry<&Options::refresh_drift>(
        "refresh-drift", Kind::kNumber, "P",
        "refresh drift: by how much the mean confidence must have fallen (default 0.1)"),
    entry<&Options::suffix_window>(
        "suffix-window", Kind::kInteger, "N",
        "run and attend only N masks after the live block, and the last position (default: all)"),
    entry<&Options::initial_length>(
        "initial-length", Kind::kInteger, "N",
        "begin with N masks and grow while no end token is confident: gen-length is then a limit "
        "(default: gen-length)"),
    entry<&Options::steps>(
        "steps", Kind::kInteger, "N",
        "fixed number of steps in all, shared by the blocks by their lengths; ignored, as by the "
        "reference, beside a rule without a schedule (threshold, factor ...); uncached Dream's "
        "confidence_threshold: the budget"),
    entry<&Options::threshold>("threshold", Kind::kNumber, "P",
                               "commit every token whose confidence reaches P (default 0.9)"),
    entry<&Options::factor>("factor", Kind::kNumber, "F",
                            "LLaDA: commit by the paper's factor rule"),
    entry<&Options::tokens_per_forward>(
        "tokens-per-forward", Kind::kNumber, "X",
        "commit the X most confident tokens of every forward (fractions add up), whatever their "
        "confidence"),
    entry<&Options::frechet>(
        "frechet", Kind::kNumber, "D",
        "commit what is right together whatever the joint distribution, with margin D (0.25 is its "
        "authors'; smaller commits more)"),
    entry<&Options::entropy_bound>(
        "entropy-bound", Kind::kNumber, "G",
        "commit the most certain tokens whose entropies together, but for the largest, are at most "
        "G nats"),
    entry<&Options::margin>(
        "margin", Kind::kNumber, "P",
        "commit every token whose probability leads the next one's by at least P"),
    entry<&Options::relaxed_threshold>(
        "relaxed-threshold", Kind::kNumber, "P",
        "beside --threshold: within 4 positions of a token that reaches it, P suffices"),
    entry<&Options::early_commit>(
        "early-commit", Kind::kNumber, "P",
        "commit the whole block once every token leads its rival by P, whatever the rule"),
    entry<&Options::alg>("alg", Kind::kText, "A",
                         "Dream: origin|maskgit_plus|topk_margin|entropy|confidence_threshold "
                         "(default confidence_threshold)"),
    entry<&Options::alg_temp>(
        "alg-temp", Kind::kNumber, "T",
        "Dream: > 0 draws the positions to commit from softmax(confidence / T) (default 0)"),
    entry<&Options::remasking>("remasking", Kind::kText, "low_confidence|random",
                               "LLaDA: where the confidence comes from (default low_confidence)"),
    entry<&Options::confidence>(
        "confidence", Kind::kText, "raw|reference",
        "what rules with a bar (threshold, frechet, margin ...) compare with it: the probability "
        "under the raw logits, or as the reference, which takes Dream's after temperature, top-p "
        "and top-k (default raw)"),
    entry<&Options::temperature>("temperature", Kind::kNumber, "T",
                                 "0, or below 0.0001: greedy (default 0)"),
    entry<&Options::top_p>("top-p", Kind::kNumber, "P",
                           "draw from the likeliest tokens whose probability together exceeds P "
                           "(default 1: off)"),
    entry<&Options::top_k>(
        "top-k", Kind::kInteger, "K",
        "draw from the K likeliest tokens (default 0: off; the reference's Dream "
        "has 50 unless told otherwise)"),
    entry<&Options::cfg_scale>(
        "cfg-scale", Kind::kNumber, "S",
        "LLaDA: classifier-free guidance, two forwards a step, cache none only (default 0: off)"),
    entry<&Options::seed>("seed", Kind::kInteger, "N",
                          "seed of this request's random numbers; -1 is 2^64 - 1 (default 0)"),
    entry<&Options::eos_stop>(
        "eos-stop", Kind::kFlag, "",
        "stop when no mask precedes the first end token; --no-eos-stop fills the whole canvas as "
        "the reference does (default on)"),
    entry<&Options::ignore_eos>(
        "ignore-eos", Kind::kFlag, "",
        "the end tokens get no probability: exactly gen-length tokens (default off)"),
    entry<&Options::logits_eos_inf>(
        "logits-eos-inf", Kind::kFlag, "",
        "as in LLaDA's generate: the EOS token gets no probability (default off)"),
    entry<&Options::confidence_eos_eot_inf>(
        "confidence-eos-eot-inf", Kind::kFlag, "",
        "as in LLaDA's generate: the end tokens have the least confidence, so that they are "
        "committed last (default off)"),
    entry<&Options::stop>("stop", Kind::kTexts, "TEXT", "stop string; may be given several times"),
    entry<&Options::correct>(
        "correct", Kind::kFlag, "",
        "without the reference's quirks: Dream's unconditional first token of a block, the factor "
        "walk's failing last token, the order of equal confidences (default off)"),
};

bool same_name(std::string_view option, std::string_view name) {
  if (option.size() != name.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (option[i] != (name[i] == '_' ? '-' : name[i])) return false;
  }
  return true;
}

}  // namespace

std::string_view name_of(WeightType type) {
  switch (type) {
    case WeightType::kAuto:
      return "auto";
    case WeightType::kBF16:
      return "bf16";
    case WeightType::kF32:
      return "f32";
    case WeightType::kInt8:
      return "int8";
    case WeightType::kInt8Group128:
      return "int8-g128";
    case WeightType::kInt8Group32:
      return "int8-g32";
    case WeightType::kInt4:
      return "int4";
    case WeightType::kInt4Group32:
      return "int4-g32";
  }
  return "unknown";
}

std::span<const WeightType> weight_types() {
  static constexpr WeightType kTypes[] = {WeightType::kAuto,         WeightType::kBF16,
                                          WeightType::kF32,          WeightType::kInt8,
                                          WeightType::kInt8Group128, WeightType::kInt8Group32,
                                          WeightType::kInt4,         WeightType::kInt4Group32};
  return kTypes;
}

const std::vector<GenerateOption>& generate_options() {
  return kOptions;
}

const GenerateOption* find_generate_option(std::string_view name) {
  for (const GenerateOption& option : kOptions) {
    if (same_name(option.name, name)) return &option;
  }
  return nullptr;
}

bool confidence_is_probability(const GenerateOptions& resolved) {
  return resolved.remasking == Remasking::kLowConfidence && !resolved.entropy_bound &&
         !resolved.margin &&
         (!resolved.alg || *resolved.alg == "maskgit_plus" ||
          *resolved.alg == "confidence_threshold");
}

void GenerateOption::set(GenerateOptions& options, std::string_view value) const {
  const bool had_preset = options.preset.has_value();
  store(*this, options, value);
  if (!had_preset && options.preset) mark_changed(options);
  mark_given(options, *this);
  if (options.preset) apply_preset(options);
}

std::optional<std::string> GenerateOption::text(const GenerateOptions& options) const {
  return read(*this, options);
}

}  // namespace fdllm
