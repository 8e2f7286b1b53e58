#include "engine/forward_cost.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

/// LLaDA-8B's shape.
ModelConfig large() {
  ModelConfig config;
  config.hidden = 4096;
  config.layers = 32;
  config.heads = 32;
  config.kv_heads = 32;
  config.head_dim = 128;
  config.ffn = 12288;
  config.vocab = 126464;
  return config;
}

/// A refresh of `length` rows of which a block of 32 is scored.
ForwardSize refresh(std::int64_t length) {
  return {length, length * length, 32, 32 * length};
}

constexpr double kSlice = 0.05;

/// Runs a pass as the step loop does, on a machine that takes machine(size, layers) for layers;
/// returns what its slices took.
std::vector<double> run_pass(ForwardCost& cost, const ForwardSize& size, std::int32_t layers,
                             const std::function<double(const ForwardSize&, Range)>& machine) {
  std::vector<double> slices;
  for (std::int32_t first = 0; first < layers;) {
    const bool whole = first == 0 && cost.seconds(size, {0, layers}) <= kSlice;
    const std::int32_t count = whole ? layers : cost.layers_within(size, first, kSlice);
    const Range run{first, std::min(first + count, layers)};
    slices.push_back(machine(size, run));
    cost.observe(size, run, slices.back());
    first = run.end;
  }
  return slices;
}

TEST(ForwardCost, TheFirstLongForwardIsSliced) {
  ForwardCost cost(large());
  EXPECT_GT(cost.seconds(refresh(480), {0, 32}), kSlice);
  EXPECT_EQ(cost.layers_within(refresh(480), 0, kSlice), 1);
  EXPECT_EQ(cost.layers_within(refresh(480), 0, 1e9), 32);  // never pauses
  EXPECT_EQ(cost.layers_within(refresh(480), 31, kSlice), 1);
}

TEST(ForwardCost, WorkIsAddedUpByLayers) {
  const ForwardCost cost(large());
  const ForwardSize size = refresh(300);
  double sum = 0;
  for (std::int32_t layer = 0; layer < 32; ++layer) sum += cost.work(size, {layer, layer + 1});
  EXPECT_NEAR(sum / cost.work(size, {0, 32}), 1, 1e-12);
  // 7.0e9 multiply-adds a row in the layers; the last one runs what is scored.
  EXPECT_NEAR(cost.work({1, 0, 1, 0}, {0, 32}), 32 * 218.1e6 + 518e6, 1e8);
  EXPECT_LT(cost.work(size, {31, 32}), cost.work(size, {0, 1}));
}

TEST(ForwardCost, EverySliceOfEveryPassIsShort) {
  // 26 ms a layer, a few percent of noise, the last layer with another speed.
  ForwardCost cost(large());
  const ForwardCost truth(large());
  int call = 0;
  const auto machine = [&](const ForwardSize& size, Range layers) {
    const double noise = 1 + 0.05 * ((call++ * 7) % 5 - 2);
    const double last = layers.end == 32 ? 0.02 : 0;
    return truth.work(size, layers) / truth.work(refresh(480), {0, 1}) * 0.026 * noise + last;
  };
  for (int pass = 0; pass < 20; ++pass) {
    const std::vector<double> slices = run_pass(cost, refresh(480), 32, machine);
    EXPECT_GE(slices.size(), 16u) << "pass " << pass;
    for (const double seconds : slices) EXPECT_LT(seconds, 1.5 * kSlice) << "pass " << pass;
  }
}

TEST(ForwardCost, LengthsAndAttentionAreTakenIntoAccount) {
  // A machine whose attention is as slow as is assumed, and one where it is as fast as the rest.
  for (const double factor : {1.0, 0.5}) {
    ForwardCost cost(large());
    const ForwardCost truth(large());
    const auto machine = [&](const ForwardSize& size, Range layers) {
      ForwardSize other = size;
      other.pairs = static_cast<std::int64_t>(factor * static_cast<double>(size.pairs));
      return truth.work(other, layers) / 2e12;
    };
    for (int pass = 0; pass < 5; ++pass) run_pass(cost, refresh(256), 32, machine);
    const double expected = cost.seconds(refresh(4096), {0, 1});
    EXPECT_NEAR(expected / machine(refresh(4096), {0, 1}), 1, 0.25) << factor;
    // By rows alone, as short ones go, it would be less.
    EXPECT_GT(expected, 1.1 * 16 * cost.seconds(refresh(256), {0, 1}));
  }
}

TEST(ForwardCost, DisturbedForwardsChangeNothing) {
  ForwardCost cost(large());
  const ForwardSize size = refresh(480);
  const Range layers{0, 8};
  for (int i = 0; i < 9; ++i) cost.observe(size, layers, 0.2);
  const double before = cost.seconds(size, layers);
  EXPECT_NEAR(before, 0.2, 1e-12);
  cost.observe(size, layers, 20);    // the machine was asleep
  cost.observe(size, layers, 1e-6);  // a clock that jumped
  cost.observe(size, layers, 0);
  cost.observe(size, {31, 32}, 5);  // the head of a huge vocabulary
  cost.observe({}, layers, 5);
  EXPECT_NEAR(cost.seconds(size, layers), before, 1e-12);
}

TEST(ForwardCost, ASpeedThatChangesIsFollowed) {
  ForwardCost cost(large());
  for (int i = 0; i < 9; ++i) cost.observe(refresh(480), {0, 8}, 0.2);
  for (int i = 0; i < 5; ++i) cost.observe(refresh(480), {0, 8}, 0.6);
  EXPECT_NEAR(cost.seconds(refresh(480), {0, 8}), 0.6, 1e-9);
}

}  // namespace
}  // namespace fdllm
