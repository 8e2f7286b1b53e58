#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "fastdllm/engine.h"

#include "verify/trace.h"

namespace fdllm::cli {

/// A finished request, ready to be shown.
struct FinishedRequest {
  nlohmann::ordered_json id;  ///< null where the request has none
  GenerateOptions options;    ///< Engine::resolve
  GenerateResult result;
  double seconds = 0;  ///< result.seconds without what a view spent
};

/// The object of `--json`: {id, error, error_code} where it failed.
nlohmann::ordered_json result_json(const FinishedRequest& finished, const ModelInfo& info);

/// "37 tokens, 12 forwards (2 refresh + 10 window), 0.05 s, 740 tokens/s"
std::string summary(std::int64_t tokens, std::int64_t refresh, std::int64_t window, double seconds);

/// The fields of a trace that follow from the options.
Trace trace_settings(const GenerateOptions& resolved, const ModelInfo& info);

}  // namespace fdllm::cli
