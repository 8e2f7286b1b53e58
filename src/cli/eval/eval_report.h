#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "eval/summary.h"

namespace fdllm::cli {

/// The object of `eval --json`: the summary, settings and what they ran on.
nlohmann::ordered_json summary_json(const eval::Summary& summary, const eval::LogContent& log);
std::string summary_text(const eval::Summary& summary, const eval::LogContent& log);

nlohmann::ordered_json comparison_json(const eval::LogComparison& comparison);
std::string comparison_text(const eval::LogComparison& comparison, const std::string& first,
                            const std::string& second);

}  // namespace fdllm::cli
