#include "bench/step.h"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "backend/memory_reader.h"
#include "bench/generate.h"
#include "bench/host.h"
#include "bench/random_model.h"
#include "bench/timed_backend.h"

namespace fdllm::bench {
namespace {

EngineOptions two_threads(WeightType weights) {
  EngineOptions options;
  options.weights = weights;
  options.threads = 2;
  return options;
}

void expect_refused(const std::function<void()>& action, const std::string& part) {
  try {
    action();
    FAIL() << "nothing refused; expected " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Roofline, IsTheGreaterOfArithmeticAndBytes) {
  const MachinePeaks peaks{.isa = "", .f32 = 100, .bf16 = 200, .int8 = 400, .read_bandwidth = 10};
  OperationCost cost{.seconds = 8, .calls = 1, .flops = 800, .bytes = 10, .type = PeakType::kInt8};
  EXPECT_DOUBLE_EQ(roofline_seconds(cost, peaks), 2);
  cost.type = PeakType::kF32;
  EXPECT_DOUBLE_EQ(roofline_seconds(cost, peaks), 8);
  cost.bytes = 90;
  EXPECT_DOUBLE_EQ(roofline_seconds(cost, peaks), 9);
  EXPECT_DOUBLE_EQ(roofline_seconds({}, peaks), 0);
}

TEST(Roofline, SumsOperationsOneByOne) {
  const MachinePeaks peaks{.isa = "", .f32 = 100, .bf16 = 200, .int8 = 400, .read_bandwidth = 10};
  OperationCosts costs{};
  cost_of(costs, Operation::kQkv) = {3, 1, 400, 20, PeakType::kInt8};        // bytes: 2 s
  cost_of(costs, Operation::kDown) = {5, 1, 1600, 10, PeakType::kInt8};      // arithmetic: 4 s
  cost_of(costs, Operation::kAttention) = {7, 1, 200, 10, PeakType::kBF16};  // 1 s
  cost_of(costs, Operation::kNorms) = {1, 1, 0, 0, PeakType::kF32};
  const RooflineSum gemms = gemm_roofline(costs, peaks);
  EXPECT_DOUBLE_EQ(gemms.seconds, 8);
  EXPECT_DOUBLE_EQ(gemms.roofline, 6);
  EXPECT_DOUBLE_EQ(gemms.flops, 2000);
  EXPECT_DOUBLE_EQ(gemms.ratio(), 8.0 / 6.0);
  const RooflineSum all = total_roofline(costs, peaks);
  EXPECT_DOUBLE_EQ(all.seconds, 16);
  EXPECT_DOUBLE_EQ(all.roofline, 7);
  EXPECT_DOUBLE_EQ(compute_seconds(costs, peaks), 1 + 4 + 1);
}

class StepOfShape : public testing::TestWithParam<std::tuple<const char*, WeightType>> {
 protected:
  BenchModel model_{{.shape = std::get<0>(GetParam()), .path = {}, .layers = {}},
                    two_threads(std::get<1>(GetParam()))};
};

TEST_P(StepOfShape, CountsTheOperationsOfOneForward) {
  const StepReport report =
      run_step(model_, {.rows = 16, .attend = 100, .score = 5, .repeat = 3, .warmup = 1});
  const ModelConfig& config = model_.config();
  const auto flops = [&](Operation operation) { return cost_of(report.costs, operation).flops; };
  const auto calls = [&](Operation operation) { return cost_of(report.costs, operation).calls; };
  const auto product = [](std::int64_t rows, std::int64_t in, std::int64_t out) {
    return 2.0 * static_cast<double>(rows * in * out);
  };
  const std::int64_t query = config.heads * config.head_dim;
  const std::int64_t row = query + 2 * config.kv_heads * config.head_dim;
  const std::int64_t rows = 16 * (config.layers - 1) + 5;  // only scored ones end the last layer
  EXPECT_EQ(flops(Operation::kQkv), product(16 * config.layers, config.hidden, row));
  EXPECT_EQ(flops(Operation::kAttentionOut), product(rows, query, config.hidden));
  EXPECT_EQ(flops(Operation::kGateUp), product(rows, config.hidden, 2 * config.ffn));
  EXPECT_EQ(flops(Operation::kDown), product(rows, config.ffn, config.hidden));
  EXPECT_EQ(flops(Operation::kHead), product(5, config.hidden, config.vocab));
  EXPECT_EQ(flops(Operation::kAttention), 2 * product(rows, query, 100));
  EXPECT_EQ(flops(Operation::kNorms), 0);
  for (const Operation operation :
       {Operation::kQkv, Operation::kRopeStore, Operation::kAttention, Operation::kAttentionOut,
        Operation::kGateUp, Operation::kDown}) {
    EXPECT_EQ(calls(operation), config.layers) << name_of(operation);
  }
  EXPECT_EQ(calls(Operation::kEmbed), 1);
  EXPECT_EQ(calls(Operation::kHead), 1);
  double bytes = 0, sum = 0;
  for (std::size_t i = 0; i < kOperations; ++i) {
    if (is_gemm(static_cast<Operation>(i))) bytes += report.costs[i].bytes;
    sum += report.costs[i].seconds;
    EXPECT_GE(report.costs[i].seconds, 0);
  }
  // Norms are no matrices.
  const auto norms = static_cast<double>((2 * config.layers + 1) * config.hidden) * 4;
  EXPECT_EQ(bytes, static_cast<double>(model_.transformer().weight_bytes()) - norms);
  EXPECT_GT(sum, 0);
  EXPECT_GT(report.memory, model_.transformer().weight_bytes());
  EXPECT_LE(report.min_seconds, report.median_seconds);
  EXPECT_LE(report.median_seconds, report.max_seconds);
  // Medians of three forwards, operation by operation: no sum of them can exceed all the time.
  EXPECT_LE(sum, 3 * report.max_seconds);
  EXPECT_NE(cost_of(report.costs, Operation::kHead).type, PeakType::kF32);
}

TEST_P(StepOfShape, RefusesWindowsThatDoNotFit) {
  const auto step = [&](StepSettings settings) { run_step(model_, settings); };
  expect_refused([&] { step({.rows = 64, .attend = 32, .score = {}}); }, "--rows");
  expect_refused([&] { step({.rows = 0, .attend = 32, .score = {}}); }, "--rows");
  expect_refused([&] { step({.rows = 8, .attend = 513, .score = {}}); }, "--attend");
  expect_refused([&] { step({.rows = 8, .attend = 32, .score = 9}); }, "--score");
  expect_refused([&] { step({.rows = 8, .attend = 32, .score = {}, .repeat = 0}); }, "--repeat");
}

INSTANTIATE_TEST_SUITE_P(Nano, StepOfShape,
                         testing::Combine(testing::Values("llada-nano", "dream-nano"),
                                          testing::Values(WeightType::kBF16, WeightType::kInt8,
                                                          WeightType::kInt4)),
                         [](const auto& instance) {
                           return std::string(std::get<0>(instance.param)).substr(0, 5) + "_" +
                                  std::string(name_of(std::get<1>(instance.param)));
                         });

TEST(TimedBackend, ChangesNoBit) {
  const auto checkpoint = make_random_checkpoint(find_shape("dream-nano"));
  const Family& family = family_of(*checkpoint);
  const ModelConfig config = family.read_config(*checkpoint);
  const ModelTensors tensors = resolve_tensors(*checkpoint, family, config);
  const auto results_of = [&](Backend& backend, const Backend& memory) {
    Transformer transformer(backend, config, tensors);
    const auto kv = backend.allocate_kv(transformer.kv_shape(40));
    const std::vector<std::int32_t> tokens = random_tokens(config, 40);
    const ForwardPlan plan{positions_of({0, 40}), {{0, 40}}, {7, 8, 39}};
    std::vector<ScoreRequest> requests(3);
    requests[1].needs_distribution = true;
    const SequenceInput input{kv.get(), tokens, &plan, requests};
    ForwardPass pass;
    transformer.start(pass, std::span(&input, 1));
    transformer.run_layers(pass, {0, static_cast<std::int32_t>(config.layers)});
    std::vector<Score> scores(3);
    transformer.score(pass, scores);
    const auto width = static_cast<std::size_t>(40 * config.kv_heads * config.head_dim);
    std::vector<float> k(width);
    std::vector<float> v(width);
    MemoryReader::of(memory).read_kv(*kv, config.layers - 1, plan.query, k, v);
    std::vector<double> results(k.begin(), k.end());
    results.insert(results.end(), v.begin(), v.end());
    for (const Score& score : scores) {
      results.insert(results.end(), {static_cast<double>(score.token), score.confidence,
                                     score.margin, score.entropy});
    }
    return results;
  };
  const auto bare = make_backend({"cpu", WeightFormat::kInt8, "auto", 2});
  TimedBackend timed(make_backend({"cpu", WeightFormat::kInt8, "auto", 2}));
  EXPECT_EQ(results_of(timed, timed.inner()), results_of(*bare, *bare));
  EXPECT_EQ(timed.description(), bare->description());
  EXPECT_GT(cost_of(timed.costs(), Operation::kHead).flops, 0);
  timed.reset();
  EXPECT_EQ(cost_of(timed.costs(), Operation::kHead).calls, 0);
  timed.set_timing(false);
  EXPECT_EQ(results_of(timed, timed.inner()), results_of(*bare, *bare));
  EXPECT_EQ(cost_of(timed.costs(), Operation::kHead).calls, 0);
}

TEST(BenchModelChoice, IsOneOfShapeAndPath) {
  const EngineOptions options;
  expect_refused([&] { BenchModel({}, options); }, "--shape");
  expect_refused([&] { BenchModel({.shape = "llada-nano", .path = "x", .layers = {}}, options); },
                 "--shape");
  expect_refused([&] { BenchModel({.shape = {}, .path = "x", .layers = 2}, options); }, "--layers");
}

TEST(BenchGenerate, CountsForwardsOfEachKind) {
  BenchModel model({.shape = "llada-nano", .path = {}, .layers = 2},
                   two_threads(WeightType::kInt4));
  GenerateSettings settings;
  settings.prompt_length = 20;
  settings.batch = 2;
  settings.options.gen_length = 64;
  settings.options.rule.set("tokens_per_forward", 4);
  const GenerateReport report = run_generate(model, settings);
  // Two blocks of 32: a refresh and seven window steps each, both requests in every forward.
  EXPECT_EQ(report.refresh.count, 2);
  EXPECT_EQ(report.window.count, 14);
  EXPECT_EQ(report.mixed.count, 0);
  EXPECT_EQ(report.committed, 128);
  EXPECT_EQ(report.useful, 128);
  EXPECT_EQ(report.options.block_length, 32);
  EXPECT_NEAR(report.seconds, report.refresh.seconds + report.window.seconds, 1e-6);
  EXPECT_GT(report.refresh.mean_seconds(), 0);
}

TEST(BenchGenerate, RealModelsStopAtTheirEndTokens) {
  BenchModel model(
      {.shape = {}, .path = std::string(FASTDLLM_SOURCE_DIR) + "/models/llada-nano", .layers = {}},
      two_threads(WeightType::kF32));
  GenerateSettings settings;
  settings.prompt =
      "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many rocks do they "
      "have together?";
  settings.options.gen_length = 128;
  const GenerateReport report = run_generate(model, settings);
  EXPECT_GT(report.useful, 0);
  EXPECT_LT(report.useful, 128);
  EXPECT_EQ(report.options.rule.get("threshold"), 0.9);
  settings.prompt_length = 10;
  expect_refused([&] { run_generate(model, settings); }, "--prompt-length");
}

TEST(BenchGenerate, RefusesWhatRandomWeightsCannotDo) {
  BenchModel model({.shape = "dream-nano", .path = {}, .layers = 1},
                   two_threads(WeightType::kBF16));
  GenerateSettings settings;
  settings.prompt_length = 10;
  const auto refused = [&](const std::string& part) {
    expect_refused([&] { run_generate(model, settings); }, part);
  };
  refused("--tokens-per-forward");
  settings.options.rule.set("tokens_per_forward", 2);
  settings.options.gen_length = 4096;
  refused("512 positions");
  settings.options.gen_length = 32;
  settings.batch = 0;
  refused("--batch");
  settings.batch = 1;
  settings.options.stop = {"x"};
  refused("--stop");
}

TEST(Host, TellsItsMemory) {
  const std::uint64_t before = anonymous_memory();
  MemoryWatch watch;
  {
    const std::vector<char> block(std::size_t{64} << 20, 'x');
    EXPECT_GE(watch.peak() + (std::uint64_t{1} << 20), before + block.size());
  }
  EXPECT_GE(watch.peak(), anonymous_memory());
  EXPECT_FALSE(cpu_name().empty());
}

}  // namespace
}  // namespace fdllm::bench
