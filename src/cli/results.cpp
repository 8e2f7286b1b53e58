#include "cli/results.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kDeadline:
      return "deadline";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

const char* name_of(Remasking remasking) {
  return remasking == Remasking::kRandom ? "random" : "low_confidence";
}

double per_second(std::size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

/// The options that a trace has no field of its own for, where they differ from the defaults.
std::vector<std::pair<std::string, std::string>> beyond_paper(const GenerateOptions& resolved) {
  constexpr std::array<std::string_view, 19> kOwnFields = {
      "preset",   "gen-length", "block-length", "cache",
      "steps",    "threshold",  "factor",       "tokens-per-forward",
      "alg",      "alg-temp",   "remasking",    "temperature",
      "top-p",    "top-k",      "cfg-scale",    "seed",
      "eos-stop", "stop",       "correct"};
  const GenerateOptions defaults;
  std::vector<std::pair<std::string, std::string>> result;
  for (const GenerateOption& option : generate_options()) {
    const bool own =
        std::find(kOwnFields.begin(), kOwnFields.end(), option.name) != kOwnFields.end();
    const std::optional<std::string> text = option.text(resolved);
    if (own || !text) continue;
    // Traces are of the reference unless they say otherwise; without filters the two are the same.
    const bool is_reference = resolved.confidence == Confidence::kReference;
    const bool is_filtered = resolved.top_p < 1 || resolved.top_k > 0;
    const bool is_told =
        option.name == "confidence" ? !is_reference && is_filtered : text != option.text(defaults);
    if (is_told) result.emplace_back(option.name, *text);
  }
  return result;
}

Json settings_json(const GenerateOptions& options, const ModelInfo& info) {
  Json json;
  json["model"] = info.path;
  json["family"] = info.family;
  json["weights"] = name_of(info.weights);
  json["backend"] = info.backend;
  json.update(options_json(options));
  return json;
}

}  // namespace

const char* name_of(CacheKind cache) {
  switch (cache) {
    case CacheKind::kNone:
      return "none";
    case CacheKind::kPrefix:
      return "prefix";
    case CacheKind::kDual:
      return "dual";
  }
  return "";
}

Json options_json(const GenerateOptions& options) {
  Json json;
  for (const GenerateOption& option : generate_options()) {
    std::string name(option.name);
    std::replace(name.begin(), name.end(), '-', '_');
    if (option.kind == GenerateOption::Kind::kTexts) {
      json[name] = options.stop;
      continue;
    }
    const std::optional<std::string> text = option.text(options);
    if (!text) continue;
    switch (option.kind) {
      case GenerateOption::Kind::kInteger:
        json[name] = Json::parse(*text);
        break;
      case GenerateOption::Kind::kNumber:
        json[name] = std::stod(*text);
        break;
      case GenerateOption::Kind::kFlag:
        json[name] = *text == "true";
        break;
      case GenerateOption::Kind::kText:
      case GenerateOption::Kind::kTexts:
        json[name] = *text;
        break;
    }
  }
  return json;
}

Json result_json(const FinishedRequest& finished, const ModelInfo& info) {
  const GenerateResult& result = finished.result;
  Json json;
  if (!finished.id.is_null()) json["id"] = finished.id;
  if (result.finish_reason == FinishReason::kError) {
    json["error"] = result.error->message;
    json["error_code"] = fdllm::name_of(result.error->code);
    return json;
  }
  json["text"] = result.text;
  json["ids"] = result.ids;
  json["finish_reason"] = name_of(result.finish_reason);
  json["prompt_tokens"] = result.prompt_ids.size();
  json["tokens"] = result.ids.size();
  json["forwards"] = {{"refresh", result.refresh_forwards}, {"window", result.window_forwards}};
  json["rows"] = {{"query", result.query_rows},
                  {"scored", result.scored_rows},
                  {"attention_pairs", result.attention_pairs}};
  json["seconds"] = finished.seconds;
  json["tokens_per_second"] = per_second(result.ids.size(), finished.seconds);
  json["settings"] = settings_json(finished.options, info);
  return json;
}

std::string summary(std::int64_t tokens, std::int64_t refresh, std::int64_t window,
                    double seconds) {
  const std::int64_t forwards = refresh + window;
  return fmt::format("{} token{}, {} forward{} ({} refresh + {} window), {:.3g} s, {:.0f} tokens/s",
                     tokens, tokens == 1 ? "" : "s", forwards, forwards == 1 ? "" : "s", refresh,
                     window, seconds, per_second(static_cast<std::size_t>(tokens), seconds));
}

Trace trace_settings(const GenerateOptions& resolved, const ModelInfo& info) {
  Trace trace;
  // "models/llada-nano/" names llada-nano as much as "models/llada-nano" does, and so does ".".
  const auto path = std::filesystem::weakly_canonical(info.path);
  trace.model = path.has_filename() ? path.filename().string() : "model";
  trace.gen_length = resolved.gen_length.value_or(0);
  trace.block_length = resolved.block_length.value_or(trace.gen_length);
  trace.cache = resolved.cache;
  trace.steps = resolved.steps;
  trace.threshold = resolved.threshold;
  trace.factor = resolved.factor;
  trace.tokens_per_forward = resolved.tokens_per_forward;
  trace.alg = resolved.alg;
  trace.eos_stop = resolved.eos_stop;
  trace.stop = resolved.stop;
  trace.correct = resolved.correct;
  trace.temperature = resolved.temperature;
  trace.seed = resolved.seed;
  trace.remasking = name_of(resolved.remasking);
  trace.cfg_scale = resolved.cfg_scale;
  trace.alg_temp = resolved.alg_temp;
  trace.top_p = resolved.top_p;
  trace.top_k = resolved.top_k;
  trace.beyond_paper = beyond_paper(resolved);
  return trace;
}

}  // namespace fdllm::cli
