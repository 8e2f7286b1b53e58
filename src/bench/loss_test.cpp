#include "bench/loss.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace fdllm::bench {
namespace {

Engine load(const std::string& name, WeightType weights = WeightType::kF32) {
  EngineOptions options;
  options.weights = weights;
  return Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / name, options);
}

/// Problems with worked answers as the checkpoints were trained on, padded to their 64 tokens.
std::vector<LossText> problems(const Engine& engine) {
  const LossTextOptions padded{.gen_length = 64};
  return {loss_text(engine, "Compute 12 + 7 - 3.", "12 + 7 = 19. 19 - 3 = 16. #### 16", padded),
          loss_text(engine, "Sort the numbers 42 7 93.", "In order they are 7 42 93. #### 7 42 93",
                    padded)};
}

TEST(Masking, IsRepeatableAndDependsOnSeedTextAndSample) {
  const LossSettings settings{.samples = 4, .seed = 1};
  const auto masked = masked_answer_tokens(settings, 3, 2, 40);
  EXPECT_EQ(masked, masked_answer_tokens(settings, 3, 2, 40));
  EXPECT_NE(masked, masked_answer_tokens({.samples = 4, .seed = 2}, 3, 2, 40));
  EXPECT_NE(masked, masked_answer_tokens(settings, 4, 2, 40));
  EXPECT_NE(masked, masked_answer_tokens(settings, 3, 3, 40));
}

TEST(Masking, TakesEveryCountOnceWhereThereAreAsManySamplesAsTokens) {
  for (const std::int32_t length : {1, 2, 7, 64}) {
    const LossSettings settings{.samples = length, .seed = 5};
    std::set<std::size_t> counts;
    for (std::int32_t sample = 0; sample < length; ++sample) {
      const auto masked = masked_answer_tokens(settings, 0, sample, length);
      ASSERT_TRUE(std::is_sorted(masked.begin(), masked.end()));
      ASSERT_EQ(std::set(masked.begin(), masked.end()).size(), masked.size());
      ASSERT_GE(masked.front(), 0);
      ASSERT_LT(masked.back(), length);
      counts.insert(masked.size());
    }
    EXPECT_EQ(counts.size(), static_cast<std::size_t>(length));
    EXPECT_EQ(*counts.begin(), 1u);
  }
}

TEST(Masking, TreatsCountsAndTokensAlike) {
  constexpr std::int32_t kLength = 5;
  constexpr int kTexts = 20000;
  std::map<std::size_t, int> counts;
  std::map<std::int32_t, int> tokens;
  for (std::int32_t text = 0; text < kTexts; ++text) {
    const auto masked = masked_answer_tokens({.samples = 1, .seed = 0}, text, 0, kLength);
    ++counts[masked.size()];
    for (const std::int32_t index : masked) ++tokens[index];
  }
  // Expected 4000 and 12000, standard deviations 57 and 69.
  for (std::size_t count = 1; count <= kLength; ++count) EXPECT_NEAR(counts[count], 4000, 300);
  for (std::int32_t index = 0; index < kLength; ++index) EXPECT_NEAR(tokens[index], 12000, 350);
}

/// -log p of the answer's tokens at `masked`, on the average.
double mean_loss(Engine& engine, const LossText& text, const std::vector<std::int32_t>& masked) {
  std::vector<std::int32_t> canvas = text.prompt;
  canvas.insert(canvas.end(), text.answer.begin(), text.answer.end());
  const auto prompt = static_cast<std::int32_t>(text.prompt.size());
  for (const std::int32_t index : masked) {
    canvas[static_cast<std::size_t>(prompt + index)] = engine.info().mask_token;
  }
  const std::vector<float> logits = engine.logits({.canvas = canvas});
  double sum = 0;
  for (const std::int32_t index : masked) {
    const float* row =
        logits.data() + (prompt + index - engine.info().logit_shift) * engine.info().vocab;
    double total = 0;
    for (std::int64_t v = 0; v < engine.info().vocab; ++v) total += std::exp(double{row[v]});
    sum -= std::log(std::exp(double{row[text.answer[static_cast<std::size_t>(index)]]}) / total);
  }
  return sum / static_cast<double>(masked.size());
}

TEST(LossTexts, EndAsTrainedAnswersDo) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    const Engine engine = load(name);
    const std::string answer = "16 - 3 = 13. #### 13";
    const LossText bare = loss_text(engine, "Compute 16 - 3.", answer, {});
    EXPECT_EQ(bare.answer, engine.tokenize(answer));
    const LossText padded = loss_text(engine, "Compute 16 - 3.", answer, {.gen_length = 40});
    EXPECT_EQ(padded.prompt, bare.prompt);
    ASSERT_EQ(padded.answer.size(), 40u);
    const std::string turn_end = engine.info().logit_shift != 0 ? "<|im_end|>" : "<|eot_id|>";
    std::vector<std::int32_t> expected = engine.tokenize(answer + turn_end + "<|endoftext|>");
    expected.resize(40, expected.back());
    EXPECT_EQ(padded.answer, expected);
    const auto length = static_cast<std::int32_t>(bare.answer.size());
    EXPECT_EQ(loss_text(engine, "x", answer, {.gen_length = length}).answer, bare.answer);
    EXPECT_THROW(loss_text(engine, "x", answer, {.gen_length = length - 1}), Error);
  }
}

TEST(LossTexts, TakeThePromptFromTheTextWhereThereIsNone) {
  const Engine engine = load("dream-nano");
  const auto tokens = engine.tokenize("Compute 16 - 3.");
  const LossText text = loss_text(engine, std::nullopt, "Compute 16 - 3.", {});
  EXPECT_EQ(text.prompt, std::vector(tokens.begin(), tokens.begin() + 1));
  EXPECT_EQ(text.answer, std::vector(tokens.begin() + 1, tokens.end()));
  EXPECT_EQ(loss_text(engine, "Compute 16 - 3.", "13", {.raw = true}).prompt, tokens);
  EXPECT_THROW(loss_text(engine, std::nullopt, "x", {}), Error);
  EXPECT_THROW(loss_text(engine, std::nullopt, "", {}), Error);
}

TEST(MaskedLoss, ConvergesToTheExpectationOverAllMaskings) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name);
    LossText text = problems(engine)[0];
    text.answer.resize(3);
    const double one = (mean_loss(engine, text, {0}) + mean_loss(engine, text, {1}) +
                        mean_loss(engine, text, {2})) /
                       3;
    const double two = (mean_loss(engine, text, {0, 1}) + mean_loss(engine, text, {0, 2}) +
                        mean_loss(engine, text, {1, 2})) /
                       3;
    const double expected = (one + two + mean_loss(engine, text, {0, 1, 2})) / 3;
    const LossReport report = masked_loss(engine, std::span(&text, 1), {.samples = 600});
    EXPECT_NEAR(report.nats, expected, 0.05 * expected) << name;
    EXPECT_EQ(report.tokens, 3);
    EXPECT_EQ(report.masked, 600 * 2);
    EXPECT_EQ(report.standard_error, 0);
  }
}

TEST(MaskedLoss, KnowsTrainedAnswersFromOthersWhateverTheLogitShift) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = load(name);
    std::vector<LossText> texts = problems(engine);
    const LossReport trained = masked_loss(engine, texts, {.samples = 16});
    EXPECT_LT(trained.nats, 0.5) << name;
    EXPECT_GT(trained.right * 10, trained.masked * 8) << name;
    for (LossText& text : texts) std::reverse(text.answer.begin(), text.answer.end());
    const LossReport reversed = masked_loss(engine, texts, {.samples = 16});
    EXPECT_GT(reversed.nats, 2 * trained.nats) << name;
    EXPECT_EQ(reversed.masked, trained.masked);
  }
}

TEST(MaskedLoss, WeighsTextsByTheirTokens) {
  Engine engine = load("llada-nano");
  std::vector<LossText> texts = problems(engine);
  texts[1].answer.resize(4);
  const LossReport report = masked_loss(engine, texts, {.samples = 2});
  ASSERT_EQ(report.texts.size(), 2u);
  const double first = static_cast<double>(texts[0].answer.size());
  EXPECT_NEAR(report.nats, (first * report.texts[0].nats + 4 * report.texts[1].nats) / (first + 4),
              1e-12);
  EXPECT_GT(report.standard_error, 0);
}

TEST(MaskedLoss, SeesTheSameMaskingsInEveryWeightFormat) {
  Engine f32 = load("llada-nano");
  Engine bf16 = load("llada-nano", WeightType::kBF16);
  const LossReport a = masked_loss(f32, problems(f32), {.samples = 8, .seed = 3});
  const LossReport b = masked_loss(bf16, problems(bf16), {.samples = 8, .seed = 3});
  EXPECT_EQ(a.masked, b.masked);
  // Another seed moves the loss by far more than rounding to bf16 does.
  EXPECT_NEAR(a.nats, b.nats, 0.01);
  EXPECT_NE(a.nats, b.nats);
}

TEST(MaskedLoss, RefusesWhatItCannotMeasure) {
  Engine llada = load("llada-nano");
  Engine dream = load("dream-nano");
  const auto refused = [](Engine& engine, const std::vector<LossText>& texts,
                          const LossSettings& settings, const std::string& part) {
    try {
      masked_loss(engine, texts, settings);
      ADD_FAILURE() << "accepted: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  const LossText fine{{1}, {2}};
  refused(llada, {}, {}, "no text");
  refused(llada, {fine}, {.samples = 0}, "samples");
  refused(llada, {fine, {{1}, {}}}, {}, "text 1: expected an answer");
  refused(llada, {fine, {{1}, {-1}}}, {}, "text 1: expected token ids");
  refused(llada, {{{1 << 20}, {1}}}, {}, "text 0: expected token ids");
  refused(llada, {{{}, std::vector<std::int32_t>(513, 1)}}, {}, "512 positions");
  refused(dream, {{{}, {1, 2}}}, {}, "before the answer");
  const LossText no_prompt{{}, {1, 2}};
  EXPECT_GT(masked_loss(llada, std::span(&no_prompt, 1), {}).nats, 0);
}

}  // namespace
}  // namespace fdllm::bench
