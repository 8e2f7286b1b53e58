// Loading and the step loop ask for the memory of the device that the back end runs on, here of an
// emulated one of a chosen size.
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "fastdllm/engine.h"
#include "fastdllm/error.h"

#include "backend/cuda/emulation/memory.h"

namespace fdllm {
namespace {

using cuda::emulation::set_device_memory;
using cuda::emulation::used_device_memory;

const std::filesystem::path kModel =
    std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano";

class DeviceMemory : public testing::Test {
 protected:
  DeviceMemory() {
    options_.device = "cuda-emulated";
    options_.weights = WeightType::kF32;
    options_.threads = 1;
  }
  ~DeviceMemory() override { set_device_memory(0); }

  GenerateRequest request(std::int32_t prompt_length) const {
    GenerateRequest made;
    made.prompt_ids.assign(static_cast<std::size_t>(prompt_length), 20);
    made.options.gen_length = 8;
    made.options.block_length = 8;
    made.options.rule.set("threshold", 0.0);  // all at once
    return made;
  }
  MemoryEstimate estimate(std::int64_t canvas, std::int64_t requests) const {
    return Engine::estimate(kModel, options_, canvas, requests);
  }

  EngineOptions options_;
};

/// A device that has `bytes` available: the back end keeps a sixteenth back.
void set_available(std::uint64_t bytes) {
  set_device_memory(bytes + bytes / 15 + 1);
}

TEST_F(DeviceMemory, LoadingIsRefusedBeforeItStarts) {
  const MemoryEstimate smallest = estimate(32, 1);
  set_available(smallest.total() - 64);
  const std::uint64_t before = used_device_memory();
  try {
    Engine::load(kModel, options_);
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("on the device 'cuda-emulated'"), std::string::npos)
        << error.what();
    EXPECT_EQ(std::string(error.what()).find("could not allocate"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(used_device_memory(), before);
  set_available(smallest.total() + 64);
  EXPECT_NO_THROW(Engine::load(kModel, options_));
}

TEST_F(DeviceMemory, WhatIsLoadedIsWhatWasEstimated) {
  const std::uint64_t before = used_device_memory();
  Engine engine = Engine::load(kModel, options_);
  const auto used = static_cast<double>(used_device_memory() - before);
  const auto wanted = static_cast<double>(engine.info().weight_bytes);
  EXPECT_GE(used, wanted);
  EXPECT_LT(used, 1.05 * wanted + 1e6);  // norms, tables and scratch
}

/// What is available is looked at ten times a second at most.
void wait_for_a_measurement() {
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
}

TEST_F(DeviceMemory, CanvasesThatDoNotFitAreRefusedOrWait) {
  const std::uint64_t before = used_device_memory();
  Engine engine = Engine::load(kModel, options_);
  const std::uint64_t loaded = used_device_memory() - before;
  const MemoryEstimate one = estimate(136, 1);

  // Less than one needs: an error of that request alone, a smaller one is decoded.
  set_available(loaded + (one.kv + one.buffers) / 2);
  wait_for_a_measurement();
  const GenerateRequest both[] = {request(128), request(8)};
  const auto mixed = engine.generate(both);
  EXPECT_EQ(mixed[0].finish_reason, FinishReason::kError);
  ASSERT_TRUE(mixed[0].error);
  EXPECT_EQ(mixed[0].error->code, ErrorCode::kOutOfMemory);
  EXPECT_NE(mixed[0].error->message.find("a canvas of 136 tokens"), std::string::npos)
      << mixed[0].error->message;
  EXPECT_FALSE(mixed[1].error) << mixed[1].error->message;

  // Room for two and their buffers, in which six would never fit: the others wait.
  const MemoryEstimate two = estimate(136, 2);
  ASSERT_LT(two.total() + two.total() / 2, estimate(136, 6).total());
  set_available(loaded + two.kv + two.buffers);
  wait_for_a_measurement();
  const std::vector<GenerateRequest> many(6, request(128));
  for (const GenerateResult& result : engine.generate(many)) {
    EXPECT_FALSE(result.error) << result.error->message;
  }
}

}  // namespace
}  // namespace fdllm
