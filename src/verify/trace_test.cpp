#include "verify/trace.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

Trace small_trace() {
  Trace trace;
  trace.model = "nano";
  trace.prompt_text = "Grüße 👍";
  trace.prompt_ids = {7, 8, 9};
  trace.options.gen_length = 4;
  trace.options.block_length = 2;
  trace.options.cache = CacheKind::kDual;
  trace.options.eos_stop = false;
  trace.options.rule.set("threshold", 0.9);
  trace.forwards = {{{0, 7}, {{4, 11}}}, {{3, 5}, {{3, 10}}}, {{0, 7}, {{6, 13}, {5, 12}}}};
  trace.output_ids = {10, 11, 12, 13};
  trace.options.seed = 18446744073709551615u;
  return trace;
}

std::string refusal(const std::string& line) {
  try {
    parse_trace(line, "t.jsonl:3");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptFile) << error.what();
    return error.what();
  }
  return "";
}

/// The small trace's line with one piece of text replaced.
std::string changed(const std::string& from, const std::string& to) {
  std::string line = format_trace(small_trace());
  const std::size_t at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << line;
  return line.replace(at, from.size(), to);
}

TEST(Trace, RoundTrip) {
  const Trace trace = small_trace();
  const Trace read = parse_trace(format_trace(trace), "t:1");
  EXPECT_EQ(read.model, "nano");
  EXPECT_EQ(read.prompt_text, trace.prompt_text);
  EXPECT_EQ(read.prompt_ids, trace.prompt_ids);
  EXPECT_EQ(read.output_ids, trace.output_ids);
  EXPECT_EQ(read.options.gen_length, 4);
  EXPECT_EQ(read.options.block_length, 2);
  EXPECT_EQ(read.options.cache, CacheKind::kDual);
  EXPECT_EQ(read.options.rule.get("threshold"), 0.9);
  EXPECT_FALSE(read.options.rule.get("factor"));
  EXPECT_FALSE(read.options.rule.alg);
  EXPECT_EQ(read.options.confidence, Confidence::kRaw);
  EXPECT_EQ(read.options.seed, trace.options.seed);
  ASSERT_EQ(read.forwards.size(), 3u);
  EXPECT_EQ(read.forwards[2].query, (Range{0, 7}));
  EXPECT_EQ(read.forwards[2].unmasked, trace.forwards[2].unmasked);
  EXPECT_EQ(format_trace(read), format_trace(trace));
}

TEST(Trace, SaysWhatThePublicImplementationLeavesOut) {
  const std::string line = R"({"model": "m", "prompt_ids": [1], "gen_length": 1, "block_length": 1,
      "cache": "none", "steps": 1, "threshold": null, "alg": "entropy", "forwards":
      [{"query": [0, 2], "unmasked": [[1, 5]]}], "output_ids": [5])";
  const GenerateOptions recorded = parse_trace(line + "}", "t:1").options;
  EXPECT_EQ(recorded.confidence, Confidence::kReference);
  EXPECT_EQ(recorded.top_k, 50);
  EXPECT_FALSE(recorded.eos_stop);
  EXPECT_EQ(recorded.rule.get("steps"), 1);
  EXPECT_EQ(recorded.rule.get("threshold"), std::nullopt);
  const GenerateOptions own = parse_trace(line + R"(, "top_k": 7, "query": "masked", "beyond_paper":
          {"confidence": "raw", "suffix-window": "8"}})",
                                          "t:1")
                                  .options;
  EXPECT_EQ(own.confidence, Confidence::kRaw);
  EXPECT_EQ(own.top_k, 7);
  EXPECT_EQ(own.query, QueryRows::kMasked);
  EXPECT_EQ(own.suffix_window, 8);
  EXPECT_NE(refusal(line + R"(, "beyond_paper": {"unheard-of": "1"}})").find("unheard-of"),
            std::string::npos);
  EXPECT_NE(refusal(line + R"(, "beyond_paper": 1})").find("beyond_paper"), std::string::npos);
  EXPECT_NE(refusal(line + R"(, "top_k": "many"})").find("'top_k'"), std::string::npos);
}

TEST(Trace, UnknownFieldsAreIgnored) {
  EXPECT_EQ(refusal(changed("{\"model\"", "{\"later\":[{}],\"model\"")), "");
}

TEST(Trace, RefusalsNameTheField) {
  EXPECT_NE(refusal("[]").find("t.jsonl:3: expected an object"), std::string::npos);
  EXPECT_NE(refusal("{"), "");
  EXPECT_NE(refusal(std::string(100000, '[')), "");
  EXPECT_NE(refusal(changed("\"nano\"", "\"../../etc\"")).find("'model'"), std::string::npos);
  EXPECT_NE(refusal(changed("\"nano\"", "\"..\"")).find("'model'"), std::string::npos);
  EXPECT_NE(refusal(changed("\"nano\"", "7")).find("'model'"), std::string::npos);
  EXPECT_NE(refusal(changed("[7,8,9]", "[7,-8,9]")).find("'prompt_ids'"), std::string::npos);
  EXPECT_NE(refusal(changed("[7,8,9]", "[7,8.5,9]")).find("'prompt_ids'"), std::string::npos);
  EXPECT_NE(refusal(changed("[7,8,9]", "[18446744073709551615]")).find("'prompt_ids'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"gen_length\":4", "\"gen_length\":4000000000")).find("'gen_length'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"gen_length\":4", "\"gen_length\":5")).find("'output_ids'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"dual\"", "\"both\"")).find("'cache'"), std::string::npos);
  EXPECT_NE(refusal(changed("\"seed\":18446744073709551615", "\"seed\":\"x\"")).find("'seed'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"query\":[3,5]", "\"query\":[5,3]")).find("'query'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"query\":[3,5]", "\"query\":[3,8]")).find("'query'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"query\":[3,5]", "\"query\":[3]")).find("'query'"),
            std::string::npos);
  EXPECT_NE(refusal(changed("[[3,10]]", "[[2,10]]")).find("'unmasked'"), std::string::npos);
  EXPECT_NE(refusal(changed("[[3,10]]", "[[4,11]]")).find("'unmasked'"), std::string::npos);
  EXPECT_NE(refusal(changed("[[3,10]]", "[[3,99]]")).find("'output_ids'"), std::string::npos);
  EXPECT_NE(refusal(changed("[[3,10]]", "[]")).find("'forwards'"), std::string::npos);
}

TEST(Trace, EarlyEndMayLeaveMasks) {
  Trace trace = small_trace();
  trace.forwards.pop_back();
  EXPECT_NE(refusal(format_trace(trace)), "");
  trace.options.eos_stop = true;
  EXPECT_EQ(refusal(format_trace(trace)), "");
  trace.options.eos_stop = false;
  trace.options.stop = {"##"};
  EXPECT_EQ(refusal(format_trace(trace)), "");
}

TEST(Trace, FilesAreReadLineByLine) {
  const auto file = std::filesystem::path(testing::TempDir()) / "fdllm_trace_test.jsonl";
  const std::string good = format_trace(small_trace());
  std::ofstream(file) << good << "\r\n\n{\"model\": 1}\n" << good;
  std::vector<std::string> traces;
  std::vector<std::string> bad;
  read_traces(file, {.trace = [&](const TraceLine& line) { traces.push_back(line.where); },
                     .bad_line = [&](const std::string& where,
                                     const std::string&) { bad.push_back(where); }});
  EXPECT_EQ(traces, (std::vector<std::string>{file.string() + ":1", file.string() + ":4"}));
  EXPECT_EQ(bad, (std::vector<std::string>{file.string() + ":3"}));
  std::filesystem::remove(file);
  EXPECT_THROW(read_traces(file, {}), Error);
  EXPECT_THROW(read_traces(testing::TempDir(), {}), Error);
}

TEST(Trace, GoldenFilesAreReadWhole) {
  for (const char* name : {"llada-nano-traces.jsonl", "dream-nano-traces.jsonl"}) {
    std::size_t count = 0;
    read_traces(
        std::filesystem::path(FASTDLLM_SOURCE_DIR) / "tests/golden" / name,
        {.trace =
             [&](const TraceLine& line) {
               ++count;
               EXPECT_EQ(line.trace.options.confidence, Confidence::kReference) << line.where;
             },
         .bad_line = [](const std::string&, const std::string& error) { ADD_FAILURE() << error; }});
    EXPECT_GT(count, 100u) << name;
  }
}

TEST(Trace, RecorderLeavesOutForwardsWithoutCommits) {
  TraceRecorder recorder;
  StepEvent event;
  event.query_begin = 0;
  event.query_end = 7;
  event.committed = {{.position = 3, .token = 10, .confidence = 1}};
  recorder.add(event);
  event.committed.clear();
  recorder.add(event);
  GenerateResult result;
  result.prompt_ids = {1, 2, 3};
  result.output_ids = {10};
  const Trace trace = recorder.finish(small_trace(), result);
  ASSERT_EQ(trace.forwards.size(), 1u);
  EXPECT_EQ(trace.forwards[0].query, (Range{0, 7}));
  EXPECT_EQ(trace.prompt_ids, result.prompt_ids);
  EXPECT_EQ(trace.output_ids, result.output_ids);
  EXPECT_EQ(trace.model, "nano");
}

}  // namespace
}  // namespace fdllm
