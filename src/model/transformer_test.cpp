#include "model/transformer.h"

#include <numeric>

#include <gtest/gtest.h>

#include "formats/checkpoint.h"

namespace fdllm {
namespace {

TEST(ForwardPlan, ShiftAddsTheRowsThatScoresNeed) {
  const ForwardPlan plan{{4, 5, 6, 7}, {{0, 12}}, {4, 6, 7}};
  EXPECT_EQ(with_shifted_rows(plan, 0).query, (std::vector<std::int32_t>{4, 5, 6, 7}));
  EXPECT_EQ(with_shifted_rows(plan, 1).query, (std::vector<std::int32_t>{3, 4, 5, 6, 7}));
  const ForwardPlan inner{{4, 5, 6, 7}, {{0, 12}}, {5, 7}};
  EXPECT_EQ(with_shifted_rows(inner, 1).query, inner.query);
  const ForwardPlan first{{0, 1}, {{0, 2}}, {0, 1}};
  EXPECT_EQ(with_shifted_rows(first, 1).query, first.query) << "row 0 scores from itself";
  const ForwardPlan sparse{{9}, {{0, 12}}, {2, 9}};
  EXPECT_EQ(with_shifted_rows(sparse, 1).query, (std::vector<std::int32_t>{1, 8, 9}));
}

class TransformerTest : public testing::TestWithParam<const char*> {
 protected:
  TransformerTest()
      : checkpoint_(open_checkpoint(std::string(FASTDLLM_SOURCE_DIR) + "/models/" + GetParam())),
        backend_(make_backend({"cpu", WeightFormat::kBF16, "auto", 2})) {
    const Family& family = family_of(*checkpoint_);
    const ModelConfig config = family.read_config(*checkpoint_);
    transformer_ = std::make_unique<Transformer>(*backend_, config,
                                                 resolve_tensors(*checkpoint_, family, config));
    tokens_.resize(50);
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      tokens_[i] = i < 30 ? static_cast<std::int32_t>(10 + 7 * i % 400) : config.mask_token;
    }
  }

  std::vector<float> logits(const ForwardPlan& plan, std::int32_t pause_after = 0) {
    const auto kv = backend_->allocate_kv(transformer_->kv_shape(50));
    const std::vector<ScoreRequest> scores(plan.score.size());
    const SequenceInput input{kv.get(), tokens_, &plan, scores};
    ForwardPass pass;
    transformer_->start(pass, std::span(&input, 1));
    const auto layers = static_cast<std::int32_t>(transformer_->config().layers);
    if (pause_after > 0) {
      transformer_->run_layers(pass, {0, pause_after});
      ForwardPass other;  // another request's forward in between, with its own K/V
      const auto other_kv = backend_->allocate_kv(transformer_->kv_shape(50));
      SequenceInput other_input = input;
      other_input.kv = other_kv.get();
      transformer_->start(other, std::span(&other_input, 1));
      transformer_->run_layers(other, {0, layers});
    }
    transformer_->run_layers(pass, {pause_after, layers});
    return transformer_->logits(pass);
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Transformer> transformer_;
  std::vector<std::int32_t> tokens_;
};

TEST_P(TransformerTest, ScoringFewRowsGivesTheBitsOfScoringAll) {
  const std::int32_t shift = transformer_->config().logit_shift;
  const auto vocab = static_cast<std::size_t>(transformer_->config().vocab);
  ForwardPlan all{positions_of({0, 50}), {{0, 50}}, {}};
  for (std::int32_t i = 0; i < 50; ++i) all.score.push_back(i + shift);
  const std::vector<float> every = logits(all);
  ASSERT_EQ(every.size(), 50 * vocab);

  ForwardPlan few = all;
  few.score = {31 + shift, 40 + shift, 49 + shift};
  const std::vector<float> some = logits(few);
  ASSERT_EQ(some.size(), 3 * vocab);
  const std::int32_t rows[] = {31, 40, 49};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t v = 0; v < vocab; ++v) {
      ASSERT_EQ(some[i * vocab + v], every[rows[i] * vocab + v]) << "row " << rows[i];
    }
  }
}

TEST_P(TransformerTest, APassMayPauseBetweenLayers) {
  ForwardPlan plan{positions_of({0, 50}), {{0, 50}}, {30, 35, 49}};
  EXPECT_EQ(logits(plan), logits(plan, 2));
}

INSTANTIATE_TEST_SUITE_P(Models, TransformerTest, testing::Values("llada-nano", "dream-nano"),
                         [](const auto& instance) {
                           return std::string(instance.param).substr(0, 5);
                         });

}  // namespace
}  // namespace fdllm
