// An engine on several devices decodes what it decodes on one, to the bit: tokens, their
// confidences and every count, of requests that share forwards.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/engine.h"
#include "fastdllm/error.h"

#include "backend/cuda/emulation/memory.h"

namespace fdllm {
namespace {

const std::filesystem::path kModels = std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models";

EngineOptions options_of(const std::string& device, WeightType weights) {
  EngineOptions options;
  options.device = device;
  options.weights = weights;
  options.threads = 1;
  return options;
}

/// Each request's events and result in one list of numbers.
std::map<std::size_t, std::vector<double>> decoded(const std::string& model,
                                                   const EngineOptions& options) {
  Engine engine = Engine::load(kModels / model, options);
  std::vector<GenerateRequest> requests;
  for (const char* prompt : {"What is 2 + 3?", "Name a colour.", "7 * 8 ="}) {
    GenerateRequest request;
    request.prompt_ids = engine.tokenize(prompt);
    request.options.gen_length = 24;
    request.options.block_length = 8;
    request.options.cache = requests.empty() ? CacheKind::kDual : CacheKind::kPrefix;
    requests.push_back(request);
  }
  requests[1].options.temperature = 0.7;
  requests[1].options.seed = 11;
  std::map<std::size_t, std::vector<double>> found;
  const auto results = engine.generate(requests, [&](const StepEvent& event) {
    std::vector<double>& numbers = found[event.request];
    for (const auto* tokens : {&event.committed, &event.provisional}) {
      for (const TokenEvent& token : *tokens) {
        numbers.insert(numbers.end(),
                       {double(token.position), double(token.token), token.confidence});
      }
    }
    numbers.insert(numbers.end(), {double(event.query_rows), double(event.masked)});
    return true;
  });
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_FALSE(results[i].error) << results[i].error->message;
    found[i].insert(found[i].end(), results[i].output_ids.begin(), results[i].output_ids.end());
  }
  return found;
}

class EngineOfAGroup : public testing::TestWithParam<std::string> {};

std::string name_of_model(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('-'));
}
INSTANTIATE_TEST_SUITE_P(Models, EngineOfAGroup, testing::Values("llada-nano", "dream-nano"),
                         name_of_model);

TEST_P(EngineOfAGroup, DecodesAsOneOnCpus) {
  for (const WeightType weights : {WeightType::kF32, WeightType::kBF16, WeightType::kInt4}) {
    const auto one = decoded(GetParam(), options_of("cpu", weights));
    ASSERT_EQ(one.size(), 3u);
    EXPECT_EQ(decoded(GetParam(), options_of("cpu-numbered:0,1", weights)), one);
  }
}

TEST_P(EngineOfAGroup, DecodesAsOneOnEmulatedDevices) {
  const auto one = decoded(GetParam(), options_of("cuda-emulated", WeightType::kInt8));
  ASSERT_EQ(one.size(), 3u);
  EXPECT_EQ(decoded(GetParam(), options_of("cuda-emulated:2,0", WeightType::kInt8)), one);
}

TEST(EngineOfThree, RefusesAModelOfFourHeadsBeforeItLoads) {
  const std::uint64_t before = cuda::emulation::used_device_memory();
  try {
    Engine::load(kModels / "llada-nano", options_of("cuda-emulated:0,1,2", WeightType::kF32));
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("3 devices need"), std::string::npos) << error.what();
  }
  EXPECT_EQ(cuda::emulation::used_device_memory(), before);
}

TEST(EngineOfTwo, TakesLessOfEachThanOneDevice) {
  const auto used = [](int device) { return cuda::emulation::used_device_memory(device); };
  const std::uint64_t before[] = {used(0), used(1)};
  std::uint64_t alone = 0;
  {
    Engine engine =
        Engine::load(kModels / "llada-nano", options_of("cuda-emulated", WeightType::kF32));
    alone = used(0) - before[0];
  }
  Engine engine =
      Engine::load(kModels / "llada-nano", options_of("cuda-emulated:0,1", WeightType::kF32));
  for (const int device : {0, 1}) {
    EXPECT_LT(used(device) - before[device], alone);
    // The estimate is of both: half of it is enough on each.
    EXPECT_LT(double(used(device) - before[device]),
              0.5 * double(engine.info().weight_bytes) * 1.05 + 2e6);
  }
}

}  // namespace
}  // namespace fdllm
