// Golden traces and logits on the CUDA back end's own code, which runs on the host in tests.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "verify/logits_check.h"
#include "verify/replay.h"
#include "verify/trace.h"

namespace fdllm {
namespace {

const std::filesystem::path kSource = FASTDLLM_SOURCE_DIR;

EngineOptions emulated(const std::string& device = "cuda-emulated") {
  EngineOptions options;
  options.device = device;
  options.weights = WeightType::kF32;
  options.threads = 1;
  return options;
}

class EmulatedDevice : public testing::TestWithParam<std::string> {};

std::string name_of_model(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('-'));
}
INSTANTIATE_TEST_SUITE_P(Models, EmulatedDevice, testing::Values("llada-nano", "dream-nano"),
                         name_of_model);

/// Rows that a trace feeds to the model: what its replay costs.
std::int64_t rows_of(const Trace& trace) {
  std::int64_t rows = 0;
  for (const TraceForward& forward : trace.forwards) rows += forward.query.size();
  return rows;
}

enum class Choice { kCachesAndRules, kCaches };

/// The cheapest trace of each cache policy, with each way to unmask where asked for: all would take
/// minutes.
std::vector<Trace> chosen_traces(const std::string& name, Choice choice) {
  const auto file = kSource / "tests/golden" / (name + "-traces.jsonl");
  std::map<std::string, Trace> chosen;
  read_traces(
      file,
      {.trace =
           [&](TraceLine line) {
             const Trace& trace = line.trace;
             const RuleOptions& rule = trace.options.rule;
             std::string key = fmt::format("{}", static_cast<int>(*trace.options.cache));
             if (choice == Choice::kCachesAndRules) {
               key += fmt::format(" {} {} {}", rule.get("threshold").has_value(),
                                  rule.get("factor").has_value(), rule.alg.value_or(""));
             }
             const auto found = chosen.find(key);
             if (found == chosen.end() || rows_of(trace) < rows_of(found->second)) {
               chosen.insert_or_assign(key, trace);
             }
           },
       .bad_line = [](const std::string& where,
                      const std::string& error) { ADD_FAILURE() << where << ": " << error; }});
  std::vector<Trace> traces;
  for (const auto& [key, trace] : chosen) traces.push_back(trace);
  return traces;
}

void expect_replayed(const std::vector<Trace>& traces, const std::string& name,
                     const EngineOptions& options) {
  const auto file = std::filesystem::path(testing::TempDir()) / ("emulated-" + name + ".jsonl");
  std::ofstream lines(file);
  for (const Trace& trace : traces) lines << format_trace(trace) << '\n';
  lines.close();
  std::size_t passed = 0;
  Replayer replayer({.models = kSource / "models", .model = {}, .engine = options},
                    [&](const std::string& where, ReplayOutcome outcome, const std::string& why) {
                      EXPECT_EQ(outcome, ReplayOutcome::kPassed) << where << ": " << why;
                      passed += outcome == ReplayOutcome::kPassed ? 1 : 0;
                    });
  replayer.run(file);
  EXPECT_EQ(passed, traces.size());
  std::filesystem::remove(file);
}

TEST_P(EmulatedDevice, ReplaysGoldenTraces) {
  const std::vector<Trace> traces = chosen_traces(GetParam(), Choice::kCachesAndRules);
  ASSERT_GE(traces.size(), 8u);
  expect_replayed(traces, GetParam(), emulated());
}

TEST_P(EmulatedDevice, TwoReplayATraceOfEachCache) {
  const std::vector<Trace> traces = chosen_traces(GetParam(), Choice::kCaches);
  ASSERT_EQ(traces.size(), 3u);
  expect_replayed(traces, GetParam() + "-two", emulated("cuda-emulated:0,1"));
}

void expect_golden_logits(const std::string& name, const EngineOptions& options) {
  Engine engine = Engine::load(kSource / "models" / name, options);
  int tensors = 0;
  check_logits(kSource / "tests/golden" / (name + "-logits.safetensors"), engine,
               [&](const LogitsReport& report) {
                 EXPECT_LE(report.difference, 1e-4) << report.tensor;
                 ++tensors;
               });
  EXPECT_GT(tensors, 0);
}

TEST_P(EmulatedDevice, MatchesGoldenLogits) {
  expect_golden_logits(GetParam(), emulated());
}

TEST_P(EmulatedDevice, TwoMatchGoldenLogits) {
  expect_golden_logits(GetParam(), emulated("cuda-emulated:1,3"));
}

}  // namespace
}  // namespace fdllm
