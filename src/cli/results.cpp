#include "cli/results.h"

#include <filesystem>

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

template <typename T>
void put(Json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

double per_second(std::size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
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
  json["gen_length"] = options.gen_length;
  put(json, "block_length", options.block_length);
  json["cache"] = name_of(options.cache);
  put(json, "alg", options.alg);
  put(json, "steps", options.steps);
  put(json, "threshold", options.threshold);
  put(json, "factor", options.factor);
  put(json, "tokens_per_forward", options.tokens_per_forward);
  json["remasking"] = name_of(options.remasking);
  json["temperature"] = options.temperature;
  json["top_p"] = options.top_p;
  json["top_k"] = options.top_k;
  json["alg_temp"] = options.alg_temp;
  json["cfg_scale"] = options.cfg_scale;
  json["seed"] = options.seed;
  json["eos_stop"] = options.eos_stop;
  json["stop"] = options.stop;
  json["correct"] = options.correct;
  return json;
}

Json result_json(const FinishedRequest& finished, const ModelInfo& info) {
  const GenerateResult& result = finished.result;
  Json json;
  if (!finished.id.is_null()) json["id"] = finished.id;
  if (result.finish_reason == FinishReason::kError) {
    json["error"] = result.error;
    return json;
  }
  json["text"] = result.text;
  json["ids"] = result.ids;
  json["finish_reason"] = name_of(result.finish_reason);
  json["prompt_tokens"] = result.prompt_ids.size();
  json["tokens"] = result.ids.size();
  json["forwards"] = {{"refresh", result.refresh_forwards}, {"window", result.window_forwards}};
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
  trace.gen_length = resolved.gen_length;
  trace.block_length = resolved.block_length.value_or(resolved.gen_length);
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
  return trace;
}

}  // namespace fdllm::cli
