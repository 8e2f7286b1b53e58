#include "cli/bench/cost_file.h"

#include <cmath>

#include "base/check.h"
#include "base/json.h"
#include "cli/generate/prompts.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

double number(const nlohmann::json& object, const char* field, const std::string& source) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_number() || !std::isfinite(found->get<double>())) {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': expected a number, found {}", source, field,
         found == object.end() ? "nothing" : found->type_name());
  }
  return found->get<double>();
}

std::int64_t rows(const nlohmann::json& object, const char* field, const std::string& source) {
  const double value = number(object, field, source);
  if (!(value >= 1 && value <= 1e9) || value != std::floor(value)) {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': expected a whole number from 1, found {}", source,
         field, value);
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace

Json cost_points_json(const std::vector<bench::CostPoint>& points) {
  Json json = Json::array();
  for (const bench::CostPoint& point : points) {
    json.push_back({{"rows", point.rows.query},
                    {"attend", point.rows.attended},
                    {"score", point.rows.scored},
                    {"seconds", point.seconds},
                    {"attention_seconds", point.attention_seconds},
                    {"head_seconds", point.head_seconds}});
  }
  return json;
}

std::vector<bench::CostPoint> parse_cost_points(const nlohmann::json& points,
                                                const std::string& source) {
  if (!points.is_array()) {
    fail(ErrorCode::kInvalidArgument, "{}: 'costs': expected an array, found {}", source,
         points.type_name());
  }
  std::vector<bench::CostPoint> parsed;
  for (const auto& point : points) {
    if (!point.is_object()) {
      fail(ErrorCode::kInvalidArgument, "{}: 'costs': expected objects, found {}", source,
           point.type_name());
    }
    parsed.push_back(
        {{rows(point, "rows", source), rows(point, "attend", source), rows(point, "score", source)},
         number(point, "seconds", source),
         number(point, "attention_seconds", source),
         number(point, "head_seconds", source)});
  }
  if (!parsed.empty()) {
    try {
      const bench::CostTable checked(parsed);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", source, error.what());
    }
  }
  return parsed;
}

CostFile read_cost_file(const std::string& path) {
  const nlohmann::json json = parse_json(read_text(path), path, {.max_depth = 16});
  const auto text = [&](const char* field) {
    const auto found = json.find(field);
    if (found == json.end() || !found->is_string()) {
      fail(ErrorCode::kInvalidArgument,
           "{}: '{}': expected a text; is it what bench costs --json "
           "printed?",
           path, field);
    }
    return found->get<std::string>();
  };
  if (!json.is_object() || !json.contains("costs")) {
    fail(ErrorCode::kInvalidArgument,
         "{}: expected an object with 'costs', as bench costs --json prints it", path);
  }
  CostFile file{text("model") + " " + text("weights"), parse_cost_points(json["costs"], path)};
  if (file.points.empty()) {
    fail(ErrorCode::kInvalidArgument, "{}: 'costs': there is no forward in it", path);
  }
  return file;
}

}  // namespace fdllm::cli
