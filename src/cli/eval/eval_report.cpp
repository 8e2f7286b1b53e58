#include "cli/eval/eval_report.h"

#include <fmt/format.h>

#include "cli/terminal/progress_text.h"

namespace fdllm::cli {
namespace {

using Json = nlohmann::ordered_json;

double percent(double fraction) {
  return 100 * fraction;
}

Json accuracy_json(const eval::Accuracy& accuracy) {
  const eval::Interval interval = accuracy.interval();
  return {{"correct", accuracy.correct},
          {"scored", accuracy.scored},
          {"fraction", accuracy.fraction()},
          {"interval_95", {interval.low, interval.high}}};
}

std::string accuracy_text(const eval::Accuracy& accuracy) {
  const eval::Interval interval = accuracy.interval();
  return fmt::format("{:.1f} % (95 % interval {:.1f} to {:.1f}), {} of {}",
                     percent(accuracy.fraction()), percent(interval.low), percent(interval.high),
                     accuracy.correct, accuracy.scored);
}

Json speed_json(const eval::Summary& summary) {
  return {
      {"useful_tokens", summary.useful_tokens},
      {"seconds", summary.seconds},
      {"useful_tokens_per_second", summary.useful_tokens_per_second()},
      {"forwards", {{"refresh", summary.refresh_forwards}, {"window", summary.window_forwards}}},
      {"forwards_per_token", summary.forwards_per_token()},
      {"tokens_per_forward", summary.tokens_per_forward()}};
}

/// "gen_length 256, cache dual, ..."
std::string flat_text(const Json& object) {
  std::string text;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null() || (value.is_array() && value.empty())) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

void add_line(std::string& text, const char* name, const std::string& value) {
  text += fmt::format("{:<12}{}\n", name, value);
}

}  // namespace

Json summary_json(const eval::Summary& summary, const eval::LogContent& log) {
  Json json;
  json["command"] = "eval";
  json["items"] = summary.items;
  json["failed"] = summary.failed;
  json["accuracy"] = accuracy_json(summary.accuracy);
  if (summary.strict) json["accuracy_strict"] = accuracy_json(*summary.strict);
  json.update(speed_json(summary));
  json["settings"] = log.settings;
  json["about"] = log.about;
  return json;
}

std::string summary_text(const eval::Summary& summary, const eval::LogContent& log) {
  std::string text;
  Json task = log.settings;
  const Json options = task.value("options", Json::object());
  const Json model = task.value("model", Json::object());
  for (const char* field : {"task", "options", "model"}) task.erase(field);
  add_line(text, "task",
           fmt::format("{}, {} items; {}", log.settings.value("task", ""), summary.items,
                       flat_text(task)));
  add_line(text, "accuracy", accuracy_text(summary.accuracy));
  if (summary.strict) add_line(text, "strict", accuracy_text(*summary.strict));
  if (summary.failed > 0) {
    add_line(text, "failed", fmt::format("{} items ended in an error", summary.failed));
  }
  add_line(text, "speed",
           fmt::format("{:.1f} useful tokens/s: {} in {}", summary.useful_tokens_per_second(),
                       summary.useful_tokens,
                       summary.seconds < 60 ? fmt::format("{:.2f} s", summary.seconds)
                                            : seconds_text(summary.seconds)));
  add_line(text, "forwards",
           fmt::format("{:.3f} per token, {:.2f} tokens per forward: {} refresh + {} window",
                       summary.forwards_per_token(), summary.tokens_per_forward(),
                       summary.refresh_forwards, summary.window_forwards));
  add_line(text, "model", flat_text(model));
  add_line(text, "settings", flat_text(options));
  add_line(text, "about", flat_text(log.about));
  return text;
}

Json comparison_json(const eval::LogComparison& comparison) {
  const eval::PairedComparison& pairs = comparison.correct;
  const eval::Interval interval = pairs.interval();
  const auto side = [](const eval::Summary& summary) {
    Json json = {{"accuracy", accuracy_json(summary.accuracy)}};
    json.update(speed_json(summary));
    return json;
  };
  return {{"command", "eval compare"},
          {"items", pairs.items},
          {"only_in_one", comparison.only_in_one},
          {"both", pairs.both},
          {"only_first", pairs.only_first},
          {"only_second", pairs.only_second},
          {"neither", pairs.neither},
          {"difference", pairs.difference()},
          {"interval_95", {interval.low, interval.high}},
          {"p_value", pairs.p_value()},
          {"first", side(comparison.first)},
          {"second", side(comparison.second)}};
}

std::string comparison_text(const eval::LogComparison& comparison, const std::string& first,
                            const std::string& second) {
  const eval::PairedComparison& pairs = comparison.correct;
  const eval::Interval interval = pairs.interval();
  std::string text;
  const auto side = [&](const char* name, const std::string& file, const eval::Summary& summary) {
    add_line(text, name,
             fmt::format("{}: {}; {:.1f} useful tokens/s, {:.3f} forwards per token", file,
                         accuracy_text(summary.accuracy), summary.useful_tokens_per_second(),
                         summary.forwards_per_token()));
  };
  side("first", first, comparison.first);
  side("second", second, comparison.second);
  add_line(text, "difference",
           fmt::format("{:+.2f} points (95 % interval {:+.2f} to {:+.2f}), paired on {} items",
                       percent(pairs.difference()), percent(interval.low), percent(interval.high),
                       pairs.items));
  add_line(text, "",
           fmt::format("{} right only in the first, {} only in the second; exact McNemar "
                       "p = {:.3g}",
                       pairs.only_first, pairs.only_second, pairs.p_value()));
  const double before = comparison.first.useful_tokens_per_second();
  if (before > 0) {
    add_line(text, "speed",
             fmt::format("{:.2f}x", comparison.second.useful_tokens_per_second() / before));
  }
  if (comparison.only_in_one > 0) {
    add_line(text, "left out",
             fmt::format("{} items that only one of the two has", comparison.only_in_one));
  }
  return text;
}

}  // namespace fdllm::cli
