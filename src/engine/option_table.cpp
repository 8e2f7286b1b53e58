#include <charconv>
#include <cmath>
#include <string>

#include "fastdllm/options.h"

#include "base/check.h"

namespace fdllm {
namespace {

[[noreturn]] void bad_value(std::string_view option, std::string_view expected,
                            std::string_view value) {
  fail(ErrorCode::kInvalidArgument, "--{}: expected {}, found '{}'", option, expected, value);
}

template <typename T>
T parse_number(std::string_view option, std::string_view expected, std::string_view value) {
  T result{};
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, result);
  if (error != std::errc{} || stop != end) bad_value(option, expected, value);
  return result;
}

std::int32_t parse_integer(std::string_view option, std::string_view value) {
  return parse_number<std::int32_t>(option, "an integer", value);
}

double parse_real(std::string_view option, std::string_view value) {
  const auto result = parse_number<double>(option, "a number", value);
  if (!std::isfinite(result)) bad_value(option, "a finite number", value);
  return result;
}

bool parse_flag(std::string_view option, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  bad_value(option, "true or false", value);
}

using Kind = GenerateOption::Kind;

const std::vector<GenerateOption> kOptions = {
    {"gen-length", Kind::kInteger, "N", "masked tokens after the prompt (default 128)",
     [](GenerateOptions& options, std::string_view value) {
       options.gen_length = parse_integer("gen-length", value);
     }},
    {"block-length", Kind::kInteger, "N",
     "tokens of a block; divides gen-length (default 32; uncached Dream has no blocks)",
     [](GenerateOptions& options, std::string_view value) {
       options.block_length = parse_integer("block-length", value);
     }},
    {"cache", Kind::kText, "none|prefix|dual",
     "K/V kept between the steps of a block (default dual)",
     [](GenerateOptions& options, std::string_view value) {
       if (value == "none") {
         options.cache = CacheKind::kNone;
       } else if (value == "prefix") {
         options.cache = CacheKind::kPrefix;
       } else if (value == "dual") {
         options.cache = CacheKind::kDual;
       } else {
         bad_value("cache", "none, prefix or dual", value);
       }
     }},
    {"steps", Kind::kInteger, "N",
     "fixed number of steps in all, shared equally by the blocks; uncached Dream's "
     "confidence_threshold: the budget",
     [](GenerateOptions& options, std::string_view value) {
       options.steps = parse_integer("steps", value);
     }},
    {"threshold", Kind::kNumber, "P", "commit every token whose confidence reaches P (default 0.9)",
     [](GenerateOptions& options, std::string_view value) {
       options.threshold = parse_real("threshold", value);
     }},
    {"factor", Kind::kNumber, "F", "LLaDA: commit by the paper's factor rule",
     [](GenerateOptions& options, std::string_view value) {
       options.factor = parse_real("factor", value);
     }},
    {"tokens-per-forward", Kind::kNumber, "X",
     "commit the X most confident tokens of every forward (fractions add up), whatever their "
     "confidence",
     [](GenerateOptions& options, std::string_view value) {
       options.tokens_per_forward = parse_real("tokens-per-forward", value);
     }},
    {"alg", Kind::kText, "A",
     "Dream: origin|maskgit_plus|topk_margin|entropy|confidence_threshold "
     "(default confidence_threshold)",
     [](GenerateOptions& options, std::string_view value) { options.alg = std::string(value); }},
    {"alg-temp", Kind::kNumber, "T",
     "Dream: > 0 draws the positions to commit from softmax(confidence / T) (default 0)",
     [](GenerateOptions& options, std::string_view value) {
       options.alg_temp = parse_real("alg-temp", value);
     }},
    {"remasking", Kind::kText, "low_confidence|random",
     "LLaDA: where the confidence comes from (default low_confidence)",
     [](GenerateOptions& options, std::string_view value) {
       if (value == "low_confidence") {
         options.remasking = Remasking::kLowConfidence;
       } else if (value == "random") {
         options.remasking = Remasking::kRandom;
       } else {
         bad_value("remasking", "low_confidence or random", value);
       }
     }},
    {"temperature", Kind::kNumber, "T", "0 is greedy (default 0)",
     [](GenerateOptions& options, std::string_view value) {
       options.temperature = parse_real("temperature", value);
     }},
    {"top-p", Kind::kNumber, "P", "Dream: nucleus filter (default 1: off)",
     [](GenerateOptions& options, std::string_view value) {
       options.top_p = parse_real("top-p", value);
     }},
    {"top-k", Kind::kInteger, "K", "Dream: keep the K likeliest tokens (default 0: off)",
     [](GenerateOptions& options, std::string_view value) {
       options.top_k = parse_integer("top-k", value);
     }},
    {"cfg-scale", Kind::kNumber, "S",
     "LLaDA: classifier-free guidance, two forwards a step, cache none only (default 0: off)",
     [](GenerateOptions& options, std::string_view value) {
       options.cfg_scale = parse_real("cfg-scale", value);
     }},
    {"seed", Kind::kInteger, "N", "seed of this request's random numbers (default 0)",
     [](GenerateOptions& options, std::string_view value) {
       options.seed = parse_number<std::uint64_t>("seed", "an integer from 0 to 2^64 - 1", value);
     }},
    {"eos-stop", Kind::kFlag, "",
     "stop when no mask precedes the first end token; --no-eos-stop fills the whole canvas as the "
     "reference does (default on)",
     [](GenerateOptions& options, std::string_view value) {
       options.eos_stop = parse_flag("eos-stop", value);
     }},
    {"stop", Kind::kTexts, "TEXT", "stop string; may be given several times",
     [](GenerateOptions& options, std::string_view value) {
       if (value.empty()) bad_value("stop", "a text that isn't empty", value);
       options.stop.emplace_back(value);
     }},
    {"correct", Kind::kFlag, "",
     "without the reference's quirks: Dream's unconditional first token of a block, the factor "
     "walk's failing last token, the order of equal confidences (default off)",
     [](GenerateOptions& options, std::string_view value) {
       options.correct = parse_flag("correct", value);
     }},
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

}  // namespace fdllm
