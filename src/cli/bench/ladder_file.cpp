#include "cli/bench/ladder_file.h"

#include <algorithm>

#include "base/check.h"
#include "base/json.h"
#include "cli/bench/cost_file.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;
using bench::LadderCell;
using bench::LadderItem;

Json summary_json(const bench::LadderSummary& summary) {
  Json json;
  json["items"] = summary.items;
  json["correct"] = summary.correct;
  json["errors"] = summary.errors;
  json["accuracy"] = summary.accuracy;
  json["accuracy_interval"] = {summary.interval.low, summary.interval.high};
  if (summary.paired) {
    const auto interval = summary.paired->interval();
    json["difference"] = {{"value", summary.paired->difference()},
                          {"interval", {interval.low, interval.high}},
                          {"only_baseline", summary.paired->only_first},
                          {"only_row", summary.paired->only_second},
                          {"p_value", summary.paired->p_value()}};
  }
  json["forwards_per_useful_token"] = summary.forwards_per_useful;
  json["tokens_per_forward"] = summary.tokens_per_forward;
  json["useful_tokens_per_second"] = summary.useful_per_second;
  json["seconds_per_item"] = summary.seconds_per_item;
  if (summary.speed_up) json["speed_up"] = *summary.speed_up;
  if (summary.time_speed_up) json["time_speed_up"] = *summary.time_speed_up;
  json["computed_seconds"] = summary.computed_seconds;
  json["computed_useful_tokens_per_second"] = summary.computed_useful_per_second;
  return json;
}

Json cell_json(const LadderCell& cell, const std::string& options,
               const bench::LadderSummary& summary) {
  Json json;
  json["row"] = cell.row.name;
  json["series"] = cell.row.series;
  json["settings"] = cell.row.settings;
  json["options"] = options;
  json["gen_length"] = cell.group.gen_length;
  json["shots"] = cell.group.shots;
  json["eos_stop"] = cell.group.eos_stop;
  json["refused"] = cell.refused;
  json["summary"] = summary_json(summary);
  json["items"] = Json::array();
  for (const LadderItem& item : cell.items) {
    json["items"].push_back({{"id", item.id},
                             {"correct", item.correct},
                             {"prompt_tokens", item.prompt_tokens},
                             {"forwards", item.forwards},
                             {"committed", item.committed},
                             {"useful", item.useful},
                             {"seconds", item.seconds},
                             {"error", item.error}});
  }
  json["forward_counts"] = Json::array();
  for (const auto& [key, count] : cell.forwards.counts()) {
    json["forward_counts"].push_back({{"whole_prompt", key.whole_prompt},
                                      {"query", key.rows.query},
                                      {"attended", key.rows.attended},
                                      {"scored", key.rows.scored},
                                      {"count", count}});
  }
  return json;
}

/// Reads fields of an object, and says where one is wrong.
class Reader {
 public:
  Reader(const nlohmann::json& object, const std::string& source)
      : object_(object), source_(source) {
    if (!object.is_object()) {
      fail(ErrorCode::kInvalidArgument, "{}: expected an object of a ladder, found {}", source,
           object.type_name());
    }
  }
  const nlohmann::json& at(const char* field) const {
    const auto found = object_.find(field);
    if (found == object_.end()) {
      fail(ErrorCode::kInvalidArgument, "{}: '{}' is missing: is it a file of bench ladder?",
           source_, field);
    }
    return *found;
  }
  std::string text(const char* field) const {
    if (!at(field).is_string()) wrong(field, "a text");
    return at(field).get<std::string>();
  }
  bool truth(const char* field) const {
    if (!at(field).is_boolean()) wrong(field, "true or false");
    return at(field).get<bool>();
  }
  std::int64_t count(const char* field) const {
    const bool is_count =
        at(field).is_number_unsigned() && at(field).get<std::uint64_t>() < std::uint64_t{1} << 50;
    if (!is_count) wrong(field, "a number of 0 or more");
    return at(field).get<std::int64_t>();
  }
  double seconds(const char* field) const {
    if (!at(field).is_number() || !(at(field).get<double>() >= 0)) wrong(field, "seconds");
    return at(field).get<double>();
  }
  const nlohmann::json& array(const char* field) const {
    if (!at(field).is_array()) wrong(field, "an array");
    return at(field);
  }

 private:
  [[noreturn]] void wrong(const char* field, const char* expected) const {
    fail(ErrorCode::kInvalidArgument, "{}: '{}': expected {}, found {}", source_, field, expected,
         at(field).type_name());
  }
  const nlohmann::json& object_;
  const std::string& source_;
};

LadderCell parse_cell(const Reader& reader, const std::string& source) {
  LadderCell cell;
  cell.row = {reader.text("row"), reader.text("series"), reader.text("settings")};
  cell.group = {
      static_cast<std::int32_t>(std::min<std::int64_t>(reader.count("gen_length"), 1 << 30)),
      static_cast<std::int32_t>(std::min<std::int64_t>(reader.count("shots"), 1 << 30)),
      reader.truth("eos_stop")};
  cell.refused = reader.text("refused");
  for (const auto& value : reader.array("items")) {
    const Reader item(value, source);
    cell.items.push_back({.id = item.text("id"),
                          .correct = item.truth("correct"),
                          .prompt_tokens = item.count("prompt_tokens"),
                          .forwards = item.count("forwards"),
                          .committed = item.count("committed"),
                          .useful = item.count("useful"),
                          .seconds = item.seconds("seconds"),
                          .error = item.text("error")});
  }
  for (const auto& value : reader.array("forward_counts")) {
    const Reader entry(value, source);
    cell.forwards.add({entry.truth("whole_prompt"),
                       {entry.count("query"), entry.count("attended"), entry.count("scored")}},
                      entry.count("count"));
  }
  return cell;
}

}  // namespace

std::string options_text(const GenerateOptions& options) {
  std::string text;
  for (const GenerateOption& option : generate_options()) {
    const auto value = option.text(options);
    if (value) text += fmt::format("{}{}={}", text.empty() ? "" : " ", option.name, *value);
  }
  return text;
}

Json ladder_json(const LadderFile& file) {
  const bench::LadderReport& report = file.report;
  Json json;
  json["command"] = "bench ladder";
  json["identity"] = file.identity;
  json["title"] = report.title;
  json["prompts"] = report.prompts;
  json["cost_shape"] = report.cost_shape;
  json["costs"] = cost_points_json(report.costs);
  std::map<const LadderCell*, bench::LadderSummary> summaries;
  for (const bench::LadderGroup& group : groups_of(report)) {
    for (auto& [cell, summary] : summaries_of(report, group)) summaries[cell] = summary;
  }
  json["cells"] = Json::array();
  for (std::size_t i = 0; i < report.cells.size(); ++i) {
    json["cells"].push_back(
        cell_json(report.cells[i], file.options[i], summaries[&report.cells[i]]));
  }
  return json;
}

LadderFile parse_ladder(std::string_view text, const std::string& source) {
  const nlohmann::json json = parse_json(text, source, {.max_depth = 16});
  const Reader reader(json, source);
  LadderFile file;
  file.identity = reader.text("identity");
  file.report.title = reader.text("title");
  file.report.cost_shape = reader.text("cost_shape");
  file.report.costs = parse_cost_points(reader.array("costs"), source);
  for (const auto& value : reader.array("cells")) {
    const Reader cell(value, source);
    file.report.cells.push_back(parse_cell(cell, source));
    file.options.push_back(cell.text("options"));
  }
  return file;
}

}  // namespace fdllm::cli
