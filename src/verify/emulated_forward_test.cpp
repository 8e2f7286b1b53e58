// Forwards as graphs of the CUDA back end, on the emulated device: the same scores, to the bit, as
// launch by launch, whatever changes between one replay of a graph and the next.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cuda/device_backend.h"
#include "formats/checkpoint.h"
#include "model/transformer.h"

namespace fdllm {
namespace {

/// A model on a device of its own.
class Device {
 public:
  Device(const Checkpoint& checkpoint, bool launch_graphs)
      : backend_(make_backend({.device = "cuda-emulated",
                               .weights = WeightFormat::kInt8,
                               .threads = 1,
                               .launch_graphs = launch_graphs})) {
    const Family& family = family_of(checkpoint);
    const ModelConfig config = family.read_config(checkpoint);
    transformer_ = std::make_unique<Transformer>(*backend_, config,
                                                 resolve_tensors(checkpoint, family, config));
  }

  /// A request's canvas.
  struct Request {
    std::vector<std::int32_t> tokens;
    std::unique_ptr<KvSlab> kv;
  };
  Request request(std::int32_t length, std::int32_t first_token) const {
    Request made{{}, backend_->allocate_kv(transformer_->kv_shape(length))};
    for (std::int32_t i = 0; i < length; ++i)
      made.tokens.push_back(10 + (first_token + 7 * i) % 90);
    return made;
  }

  struct Part {
    Request* request;
    ForwardPlan plan;
    ScoreRequest asked;
  };
  std::vector<Score> forward(std::vector<Part> parts) {
    std::vector<std::vector<ScoreRequest>> requests;
    std::size_t count = 0;
    for (Part& part : parts) {
      part.plan = with_shifted_rows(part.plan, transformer_->config().logit_shift);
      auto& asked = requests.emplace_back(part.plan.score.size(), part.asked);
      for (std::size_t i = 0; i < asked.size(); ++i) asked[i].position = part.plan.score[i];
      count += asked.size();
    }
    std::vector<SequenceInput> inputs;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      inputs.push_back(
          {parts[i].request->kv.get(), parts[i].request->tokens, &parts[i].plan, requests[i]});
    }
    std::vector<Score> scores(count);
    transformer_->forward(pass_, inputs, scores);
    return scores;
  }

  cuda::LaunchCounts counts() const { return cuda::launch_counts(*backend_); }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Transformer> transformer_;
  ForwardPass pass_;
};

void expect_same(const std::vector<Score>& a, const std::vector<Score>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].token, b[i].token);
    EXPECT_EQ(a[i].confidence, b[i].confidence);
    EXPECT_EQ(a[i].filtered_confidence, b[i].filtered_confidence);
    EXPECT_EQ(a[i].margin, b[i].margin);
    EXPECT_EQ(a[i].entropy, b[i].entropy);
    EXPECT_TRUE(a[i].finite && b[i].finite);
  }
}

class EmulatedForward : public testing::TestWithParam<std::string> {};

std::string name_of_model(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('-'));
}
INSTANTIATE_TEST_SUITE_P(Models, EmulatedForward, testing::Values("llada-nano", "dream-nano"),
                         name_of_model);

/// Blocks of eight with fewer masked positions each step, as the caches plan them.
TEST_P(EmulatedForward, AGraphGivesTheScoresOfItsLaunches) {
  const auto checkpoint =
      open_checkpoint(std::string(FASTDLLM_SOURCE_DIR) + "/models/" + GetParam());
  Device graphs(*checkpoint, true);
  Device launches(*checkpoint, false);
  const std::vector<ScoreRequest> kinds = {
      {}, {.sampling = Sampling::kGumbel, .temperature = 0.7f, .seed = 5}};
  std::int64_t forwards = 0;
  for (std::int32_t length : {20, 24}) {
    for (std::int32_t kind = 0; kind < 2; ++kind) {
      Device::Request a = graphs.request(length, length + kind);
      Device::Request b = launches.request(length, length + kind);
      const auto both = [&](const ForwardPlan& plan) {
        expect_same(graphs.forward({{&a, plan, kinds[kind]}}),
                    launches.forward({{&b, plan, kinds[kind]}}));
        ++forwards;
      };
      both({positions_of({0, length}), {{0, length}}, positions_of({8, 16})});
      for (std::int32_t step = 1; step < 4; ++step) {
        a.tokens[8 + step] = b.tokens[8 + step] = 20 + step;
        both({positions_of({8, 16}), {{0, length}}, positions_of({8 + step, 16})});
      }
    }
  }
  const cuda::LaunchCounts counts = graphs.counts();
  EXPECT_GE(counts.replayed, forwards / 4);
  EXPECT_EQ(launches.counts().captured + launches.counts().replayed, 0);
}

TEST_P(EmulatedForward, BatchesOfAGraphMayDiffer) {
  const auto checkpoint =
      open_checkpoint(std::string(FASTDLLM_SOURCE_DIR) + "/models/" + GetParam());
  Device graphs(*checkpoint, true);
  Device launches(*checkpoint, false);
  const ScoreRequest asked{.top_k = 5, .needs_distribution = true};
  std::vector<Device::Request> a, b;
  for (std::int32_t i = 0; i < 3; ++i) {
    a.push_back(graphs.request(20 + i, 3 * i));
    b.push_back(launches.request(20 + i, 3 * i));
  }
  // Two of three requests, other rows and ranges of each: at most 16 rows, so the same launches,
  // once the first forwards, with the most rows, have found the size of the buffers.
  const std::int32_t picks[][4] = {{0, 1, 8, 6}, {2, 0, 8, 6}, {0, 1, 4, 5}, {1, 2, 5, 3},
                                   {2, 0, 2, 6}, {0, 2, 7, 1}, {1, 0, 3, 3}, {2, 1, 1, 4}};
  for (const auto& pick : picks) {
    const auto parts = [&](std::vector<Device::Request>& requests) {
      const auto part = [&](std::int32_t index, std::int32_t rows) {
        const ForwardPlan plan{
            positions_of({0, rows}), {{0, 1}, {1 + index % 2, rows}}, positions_of({1, rows})};
        return Device::Part{&requests[index], plan, asked};
      };
      return std::vector{part(pick[0], pick[2] + 1), part(pick[1], pick[3] + 1)};
    };
    expect_same(graphs.forward(parts(a)), launches.forward(parts(b)));
  }
  EXPECT_GE(graphs.counts().captured, 1);
  EXPECT_GE(graphs.counts().replayed, 1);
}

}  // namespace
}  // namespace fdllm
