// Replays the golden traces without a model: the positions that a trace commits get scores that the
// rule must choose, all others scores that it must not. Shows that plans, schedules, budgets and
// the number of forwards are the reference's.
#include <algorithm>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using nlohmann::json;

GenerateOptions options_of(const json& trace) {
  GenerateOptions options;
  options.gen_length = trace.at("gen_length");
  options.block_length = trace.at("block_length").get<std::int32_t>();
  options.eos_stop = false;
  const std::string cache = trace.at("cache");
  options.cache = cache == "none"     ? CacheKind::kNone
                  : cache == "prefix" ? CacheKind::kPrefix
                                      : CacheKind::kDual;
  if (!trace.at("threshold").is_null())
    options.rule.set("threshold", trace.at("threshold").get<double>());
  if (trace.contains("factor") && !trace.at("factor").is_null()) {
    options.rule.set("factor", trace.at("factor").get<double>());
  }
  if (trace.contains("alg")) options.rule.alg = trace.at("alg").get<std::string>();
  const bool budget = options.rule.alg && options.cache == CacheKind::kNone;
  if (budget || (!options.rule.get("threshold") && !options.rule.get("factor"))) {
    options.rule.set("steps", trace.at("steps").get<std::int32_t>());
  }
  return options;
}

void replay(const json& trace, const DecodeTraits& traits) {
  const GenerateOptions options = options_of(trace);
  const std::vector<std::int32_t> prompt = trace.at("prompt_ids");
  // The mask token is out of the way of the traces' vocabulary.
  Decoder decoder = testing::make_decoder(
      Canvas(prompt, options.gen_length.value_or(0), traits.mask_token), options, traits);
  for (const json& forward : trace.at("forwards")) {
    const auto step = decoder.next();
    ASSERT_TRUE(step.has_value()) << "ends too early";
    EXPECT_EQ(step->plan.query.front(), forward.at("query").at(0).get<std::int32_t>());
    EXPECT_EQ(step->plan.query.back() + 1, forward.at("query").at(1).get<std::int32_t>());
    std::map<std::int32_t, std::int32_t> expected;
    for (const json& pair : forward.at("unmasked")) expected[pair.at(0)] = pair.at(1);
    std::vector<Score> scores;
    for (const ScoreRequest& request : step->scores) {
      const auto found = expected.find(request.position);
      scores.push_back(found != expected.end() ? testing::score_of(found->second, 0.999)
                                               : testing::score_of(0, 0.001));
    }
    std::map<std::int32_t, std::int32_t> committed;
    for (const TokenEvent& token : decoder.advance(scores).committed) {
      committed[token.position] = token.token;
    }
    ASSERT_EQ(committed, expected);
  }
  EXPECT_FALSE(decoder.next().has_value()) << "wants more forwards";
  const auto tokens = decoder.canvas().tokens();
  EXPECT_EQ(
      std::vector<std::int32_t>(tokens.begin() + decoder.canvas().prompt_length(), tokens.end()),
      trace.at("output_ids").get<std::vector<std::int32_t>>());
}

void replay_file(const std::string& name, DecodeTraits traits) {
  traits.mask_token = 1 << 30;
  traits.end_tokens.clear();
  std::ifstream file(std::string(FASTDLLM_SOURCE_DIR) + "/tests/golden/" + name);
  ASSERT_TRUE(file.is_open());
  std::string line;
  int traces = 0;
  while (std::getline(file, line)) {
    ++traces;
    SCOPED_TRACE(name + " line " + std::to_string(traces));
    replay(json::parse(line), traits);
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GE(traces, 100);
}

TEST(GoldenReplay, Llada) {
  replay_file("llada-nano-traces.jsonl", testing::llada_traits());
}
TEST(GoldenReplay, Dream) {
  replay_file("dream-nano-traces.jsonl", testing::dream_traits());
}

}  // namespace
}  // namespace fdllm
