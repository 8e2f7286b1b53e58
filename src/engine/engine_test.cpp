#include "fastdllm/engine.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

std::filesystem::path model_path(const std::string& name) {
  return std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / name;
}

Engine load(const std::string& name, WeightType weights, int threads = 2) {
  EngineOptions options;
  options.weights = weights;
  options.threads = threads;
  return Engine::load(model_path(name), options);
}

const std::vector<std::string> kQuestions = {
    "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many rocks do they have together?",
    "Compute 12 + 7 - 3.",
    "Sort the numbers 42 7 93.",
    "Mia buys 4 keys for 3 dollars each and pays with 20 dollars. How many dollars does Mia get "
    "back?",
};

/// A request for a question, padded with `extra` filler tokens so that lengths differ.
GenerateRequest request_for(const Engine& engine, std::size_t question, std::size_t extra = 0) {
  GenerateRequest request;
  const ChatMessage message{"user", kQuestions[question % kQuestions.size()]};
  request.prompt_ids = engine.tokenize(engine.apply_chat_template(std::span(&message, 1)));
  for (std::size_t i = 0; i < extra; ++i) {
    request.prompt_ids.insert(request.prompt_ids.begin() + 1, static_cast<std::int32_t>(7 + i));
  }
  request.options.gen_length = 64;
  return request;
}

/// Everything that decoding decides, down to the bits of the confidences.
struct Recording {
  std::vector<GenerateResult> results;
  std::map<std::size_t, std::vector<StepEvent>> events;
};

Recording record(Engine& engine, std::span<const GenerateRequest> requests) {
  Recording made;
  made.results = engine.generate(requests, [&](const StepEvent& event) {
    made.events[event.request].push_back(event);
    return true;
  });
  return made;
}

void expect_same(const std::vector<StepEvent>& a, const std::vector<StepEvent>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].query_begin, b[i].query_begin);
    EXPECT_EQ(a[i].query_end, b[i].query_end);
    ASSERT_EQ(a[i].committed.size(), b[i].committed.size());
    for (std::size_t j = 0; j < a[i].committed.size(); ++j) {
      EXPECT_EQ(a[i].committed[j].position, b[i].committed[j].position);
      EXPECT_EQ(a[i].committed[j].token, b[i].committed[j].token);
      EXPECT_EQ(a[i].committed[j].confidence, b[i].committed[j].confidence);
    }
  }
}

/// 16 requests of different lengths and settings.
std::vector<GenerateRequest> mixed_requests(const Engine& engine) {
  std::vector<GenerateRequest> requests;
  const bool dream = engine.info().logit_shift != 0;
  for (std::size_t i = 0; i < 16; ++i) {
    GenerateRequest request = request_for(engine, i, (i * 5) % 23);
    GenerateOptions& options = request.options;
    options.seed = i;
    options.cache = static_cast<CacheKind>(i % 3);
    if (options.cache != CacheKind::kNone || !dream) {
      options.block_length = i % 2 == 0 ? 32 : 16;
    }
    if (i % 4 == 1) options.gen_length = 32;
    if (i % 5 == 3) options.temperature = 0.7;
    if (i % 7 == 2) options.eos_stop = false;
    if (dream) {
      if (i % 4 == 2) {
        options.rule.alg = i % 8 == 2 ? "entropy" : "topk_margin";
        options.rule.set("steps", options.gen_length.value_or(kDefaultGenLength));
      }
      if (i % 5 == 4) options.top_p = 0.9;
      if (i % 6 == 5) options.top_k = 20;
    } else {
      if (i % 4 == 2) options.rule.set("factor", 1.0);
      if (i % 4 == 3) options.rule.set("steps", options.gen_length.value_or(kDefaultGenLength) / 2);
      if (i == 9) options.cfg_scale = 0.5;
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

class BatchInvariance : public testing::TestWithParam<std::tuple<const char*, WeightType>> {};

TEST_P(BatchInvariance, BatchOrderAndThreadsDoNotChangeABit) {
  const auto& [name, weights] = GetParam();
  Engine two_threads = load(name, weights, 2);
  Engine one_thread = load(name, weights, 1);
  const std::vector<GenerateRequest> requests = mixed_requests(two_threads);

  std::vector<Recording> alone;
  for (const GenerateRequest& request : requests) {
    alone.push_back(record(two_threads, std::span(&request, 1)));
    ASSERT_FALSE(alone.back().results[0].error);
  }
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(5);
  for (int round = 0; round < 3; ++round) {
    std::vector<GenerateRequest> shuffled;
    for (const std::size_t index : order) shuffled.push_back(requests[index]);
    for (Engine* engine : {&two_threads, &one_thread}) {
      const Recording batch = record(*engine, shuffled);
      for (std::size_t i = 0; i < order.size(); ++i) {
        SCOPED_TRACE(testing::Message() << "request " << order[i] << " round " << round);
        const Recording& single = alone[order[i]];
        EXPECT_EQ(batch.results[i].output_ids, single.results[0].output_ids);
        expect_same(batch.events.at(i), single.events.at(0));
      }
    }
    std::shuffle(order.begin(), order.end(), random);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BatchInvariance,
                         testing::Combine(testing::Values("llada-nano", "dream-nano"),
                                          testing::ValuesIn(weight_types().begin() + 1,
                                                            weight_types().end())),
                         [](const auto& instance) {
                           std::string name = std::get<0>(instance.param);
                           name += "_" + std::string(name_of(std::get<1>(instance.param)));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Engine, IntegerWeightsStillAnswer) {
  Engine exact = load("llada-nano", WeightType::kF32);
  Engine int8 = load("llada-nano", WeightType::kInt8);
  Engine int4 = load("llada-nano", WeightType::kInt4);
  EXPECT_LT(int8.info().weight_bytes, exact.info().weight_bytes / 3);
  EXPECT_LT(int4.info().weight_bytes, int8.info().weight_bytes * 3 / 4);
  std::vector<GenerateRequest> requests;
  for (std::size_t i = 0; i < kQuestions.size(); ++i) requests.push_back(request_for(exact, i));
  const auto wanted = exact.generate(requests);
  const auto found = int8.generate(requests);
  const auto answer_of = [](const std::string& text) {
    const std::size_t mark = text.find("#### ");
    return mark == std::string::npos ? "no answer" : text.substr(mark);
  };
  std::size_t same = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_FALSE(found[i].error);
    EXPECT_NE(answer_of(wanted[i].text), "no answer");
    same += answer_of(found[i].text) == answer_of(wanted[i].text) ? 1 : 0;
  }
  // Rounding may turn a close decision, so one answer may be another.
  EXPECT_GE(same, requests.size() - 1);
}

TEST(Engine, RowBudgetOnlyChangesWhatRunsTogether) {
  Engine wide = load("llada-nano", WeightType::kBF16);
  EngineOptions options;
  options.row_budget = 100;
  options.max_live_requests = 3;
  Engine narrow = Engine::load(model_path("llada-nano"), options);
  const std::vector<GenerateRequest> requests = mixed_requests(wide);
  const Recording a = record(wide, requests);
  const Recording b = record(narrow, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(a.results[i].output_ids, b.results[i].output_ids);
    expect_same(a.events.at(i), b.events.at(i));
  }
}

TEST(Engine, EosStopIsExactUpToTheEndToken) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name, WeightType::kF32);
    for (std::size_t i = 0; i < kQuestions.size(); ++i) {
      GenerateRequest stopping = request_for(engine, i);
      stopping.options.gen_length = 128;
      stopping.options.block_length = 16;
      GenerateRequest filling = stopping;
      filling.options.eos_stop = false;
      const std::vector<GenerateRequest> both = {stopping, filling};
      const auto results = engine.generate(both);
      EXPECT_EQ(results[0].ids, results[1].ids);
      EXPECT_EQ(results[0].text, results[1].text);
      EXPECT_EQ(results[0].finish_reason, results[1].finish_reason);
      EXPECT_LE(results[0].refresh_forwards, results[1].refresh_forwards);
      EXPECT_EQ(std::count(results[1].output_ids.begin(), results[1].output_ids.end(),
                           engine.info().mask_token),
                0);
    }
  }
}

TEST(Engine, CountsForwardsAndTokens) {
  Engine engine = load("llada-nano", WeightType::kF32);
  GenerateRequest request = request_for(engine, 0);
  request.options.eos_stop = false;
  request.options.rule.set("steps", 64);
  request.options.block_length = 32;
  const Recording made = record(engine, std::span(&request, 1));
  const GenerateResult& result = made.results[0];
  EXPECT_EQ(result.refresh_forwards, 2);
  EXPECT_EQ(result.window_forwards, 62);
  EXPECT_EQ(made.events.at(0).size(), 64u);
  EXPECT_EQ(made.events.at(0).back().masked, 0);
  EXPECT_GT(result.seconds, 0);
  EXPECT_EQ(result.output_ids.size(), 64u);
}

TEST(Engine, GuidanceCountsTwoForwardsAndZeroScaleIsNoGuidance) {
  Engine engine = load("llada-nano", WeightType::kF32);
  GenerateRequest plain = request_for(engine, 0);
  plain.options.cache = CacheKind::kNone;
  plain.options.rule.set("steps", 32);
  plain.options.eos_stop = false;
  GenerateRequest guided = plain;
  guided.options.cfg_scale = 1.5;
  const std::vector<GenerateRequest> both = {plain, guided};
  const auto results = engine.generate(both);
  EXPECT_EQ(results[0].refresh_forwards, 32);
  EXPECT_EQ(results[1].refresh_forwards, 64);
  EXPECT_NE(results[0].output_ids, results[1].output_ids);
}

TEST(Engine, StopStringCutsTextAndIds) {
  Engine engine = load("llada-nano", WeightType::kF32);
  GenerateRequest request = request_for(engine, 0);
  const auto whole = engine.generate(std::span(&request, 1))[0];
  ASSERT_GT(whole.text.size(), 8u);
  const std::string stop = whole.text.substr(whole.text.size() / 2, 3);
  request.options.stop = {"no such text", stop};
  const auto cut = engine.generate(std::span(&request, 1))[0];
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(cut.finish_reason, FinishReason::kStop);
  EXPECT_LT(cut.ids.size(), whole.ids.size());
  EXPECT_EQ(engine.detokenize(cut.ids), cut.text.substr(0, engine.detokenize(cut.ids).size()));
}

TEST(Engine, StopStringsAreBounded) {
  const Engine engine = load("llada-nano", WeightType::kF32);
  GenerateRequest request = request_for(engine, 0);
  request.options.stop.assign(kMaxStops, std::string(kMaxStopLength, 'x'));
  engine.resolve(request);
  const auto refusal = [&] {
    try {
      engine.resolve(request);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  request.options.stop.push_back("x");
  EXPECT_EQ(refusal(), "'stop': expected at most 16 strings, found 17");
  request.options.stop = {std::string(kMaxStopLength + 1, 'x')};
  EXPECT_EQ(refusal(), "'stop': expected at most 1024 characters, found 1025");
}

TEST(Engine, IdsThatTheTokenizerDoesNotHaveHaveNoText) {
  const Engine engine = load("llada-nano", WeightType::kF32);
  const std::vector<std::int32_t> word = engine.tokenize("rocks");
  std::vector<std::int32_t> ids = {-1, static_cast<std::int32_t>(engine.info().tokenizer_vocab),
                                   std::numeric_limits<std::int32_t>::max()};
  EXPECT_EQ(engine.detokenize(ids, false), "");
  EXPECT_EQ(engine.token_bytes(ids.back()), "");
  EXPECT_FALSE(engine.is_special(ids.back()));
  ids.insert(ids.end(), word.begin(), word.end());
  EXPECT_EQ(engine.detokenize(ids), "rocks");
}

TEST(Engine, CancellingEndsOnlyThatRequest) {
  Engine engine = load("llada-nano", WeightType::kF32);
  const std::vector<GenerateRequest> requests = {request_for(engine, 0), request_for(engine, 1)};
  std::vector<std::size_t> ended;
  const auto results = engine.generate(
      requests, [](const StepEvent& event) { return event.request != 0 || event.step < 2; },
      [&](std::size_t request, const GenerateResult&) { ended.push_back(request); });
  EXPECT_EQ(results[0].finish_reason, FinishReason::kCancelled);
  EXPECT_NE(results[1].finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(results[1].output_ids, engine.generate(std::span(&requests[1], 1))[0].output_ids);
  EXPECT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended.front(), 0u);
}

TEST(Engine, InvalidRequestsAreReportedAndHarmNobody) {
  Engine engine = load("llada-nano", WeightType::kF32);
  std::vector<GenerateRequest> requests(4, request_for(engine, 2));
  requests[0].options.block_length = 0;
  requests[1].options.rule.set("factor", 1.0);
  requests[1].options.rule.set("threshold", 0.9);
  requests[2].prompt_ids.push_back(100000);
  const auto results = engine.generate(requests);
  const char* parts[] = {"block", "threshold", "100000"};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(results[i].finish_reason, FinishReason::kError);
    ASSERT_TRUE(results[i].error);
    EXPECT_EQ(results[i].error->code, ErrorCode::kInvalidArgument);
    EXPECT_NE(results[i].error->message.find(parts[i]), std::string::npos)
        << results[i].error->message;
  }
  EXPECT_FALSE(results[3].error);
  EXPECT_FALSE(results[3].text.empty());
}

TEST(Engine, PromptLongerThanTheModelAllows) {
  Engine engine = load("llada-nano", WeightType::kF32);
  GenerateRequest request;
  request.prompt_ids.assign(500, 5);
  EXPECT_NO_THROW(engine.resolve(request));  // without a length, what is left
  request.options.gen_length = 128;
  try {
    engine.resolve(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("512"), std::string::npos) << error.what();
  }
}

TEST(Engine, MemoryLimits) {
  EngineOptions options;
  options.memory_limit = 1000;
  try {
    Engine::load(model_path("llada-nano"), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
  options.memory_limit = Engine::inspect(model_path("llada-nano"), {}).weight_bytes + 450000;
  Engine engine = Engine::load(model_path("llada-nano"), options);
  const auto request = request_for(engine, 0);
  const auto result = engine.generate(std::span(&request, 1))[0];
  EXPECT_EQ(result.finish_reason, FinishReason::kError);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::kOutOfMemory);

  // Enough for one canvas at a time: the others wait for its K/V.
  const auto estimate = Engine::estimate(model_path("llada-nano"), {}, 128, 1);
  options.memory_limit = estimate.total() + estimate.kv / 2;
  Engine tight = Engine::load(model_path("llada-nano"), options);
  const std::vector<GenerateRequest> requests(5, request);
  for (const auto& each : tight.generate(requests)) EXPECT_FALSE(each.error);
}

TEST(Engine, APromptThatContainsTheMaskTokenStaysAsItIs) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name, WeightType::kF32);
    GenerateRequest request = request_for(engine, 1);
    request.prompt_ids.insert(request.prompt_ids.begin() + 4, engine.info().mask_token);
    const Recording made = record(engine, std::span(&request, 1));
    EXPECT_EQ(made.results[0].prompt_ids, request.prompt_ids);
    for (const StepEvent& event : made.events.at(0)) {
      for (const TokenEvent& token : event.committed) {
        EXPECT_GE(token.position, static_cast<std::int32_t>(request.prompt_ids.size()));
        EXPECT_NE(token.token, engine.info().mask_token);
      }
    }
  }
}

TEST(Engine, EmptyPromptWorks) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name, WeightType::kF32);
    std::vector<GenerateRequest> requests(2);
    for (auto& request : requests) {
      request.options.gen_length = 32;
      request.options.eos_stop = false;
    }
    requests[1].options.cache = CacheKind::kNone;
    for (const auto& result : engine.generate(requests)) {
      EXPECT_FALSE(result.error);
      EXPECT_EQ(result.output_ids.size(), 32u);
    }
  }
}

TEST(Engine, CorrectModeDecodes) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name, WeightType::kF32);
    std::vector<GenerateRequest> requests;
    for (const CacheKind cache : {CacheKind::kPrefix, CacheKind::kDual}) {
      GenerateRequest request = request_for(engine, 3);
      request.options.cache = cache;
      request.options.correct = true;
      requests.push_back(request);
    }
    for (const auto& result : engine.generate(requests)) {
      EXPECT_FALSE(result.error);
      EXPECT_NE(result.text.find("####"), std::string::npos) << result.text;
    }
  }
}

TEST(Engine, InfillingKeepsTheTextAroundTheHoles) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name, WeightType::kF32);
    GenerateRequest whole = request_for(engine, 1);
    const GenerateResult answer = engine.generate(std::span(&whole, 1)).front();
    // The answer again, of which every third token is to be found.
    GenerateRequest request;
    request.prompt_ids = whole.prompt_ids;
    request.prompt_ids.insert(request.prompt_ids.end(), answer.output_ids.begin(),
                              answer.output_ids.end());
    for (std::size_t p = whole.prompt_ids.size(); p < request.prompt_ids.size(); p += 3) {
      request.holes.push_back(static_cast<std::int32_t>(p));
    }
    for (const CacheKind cache : {CacheKind::kNone, CacheKind::kPrefix, CacheKind::kDual}) {
      request.options.cache = cache;
      const GenerateResult filled = engine.generate(std::span(&request, 1)).front();
      ASSERT_FALSE(filled.error);
      ASSERT_EQ(filled.output_ids.size(), request.prompt_ids.size());
      for (std::size_t p = 0; p < request.prompt_ids.size(); ++p) {
        const bool hole = std::binary_search(request.holes.begin(), request.holes.end(),
                                             static_cast<std::int32_t>(p));
        if (hole) {
          EXPECT_NE(filled.output_ids[p], engine.info().mask_token);
        } else {
          EXPECT_EQ(filled.output_ids[p], request.prompt_ids[p]);
        }
      }
    }
    request.holes = {5, 5};
    EXPECT_THROW(engine.resolve(request), Error);
    request.holes = {static_cast<std::int32_t>(request.prompt_ids.size())};
    EXPECT_THROW(engine.resolve(request), Error);
  }
}

}  // namespace
}  // namespace fdllm
