#include "cli/generate/results.h"

#include <filesystem>

#include <fmt/format.h>

#include "engine/option_json.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

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
  json["finish_reason"] = fdllm::name_of(result.finish_reason);
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
  trace.options = resolved;
  return trace;
}

}  // namespace fdllm::cli
