// The step loop over a back end that fails, or whose memory is short.
#include "engine/step_loop.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/failing_backend_testing.h"
#include "engine/open_text.h"
#include "formats/checkpoint.h"

namespace fdllm {
namespace {

using Fault = FailingBackend::Fault;

class StepLoopTest : public testing::Test {
 protected:
  StepLoopTest()
      : checkpoint_(
            open_checkpoint(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano")),
        family_(family_of(*checkpoint_)),
        config_(family_.read_config(*checkpoint_)),
        tensors_(resolve_tensors(*checkpoint_, family_, config_)),
        text_(open_text(*checkpoint_)),
        backend_(make_backend({.weights = WeightFormat::kF32, .threads = 1})),
        transformer_(backend_, config_, tensors_),
        model_(std::make_shared<RequestModel>(
            RequestModel{{config_.mask_token, config_.end_tokens, config_.reference},
                         config_.vocab,
                         config_.max_positions})) {}

  /// The account as an engine opens it after loading.
  void open_account() {
    account_ = std::make_unique<MemoryAccount>(account_settings(backend_, {}, 0));
  }

  StepLoop make_loop(double slice_seconds = 1e9, std::int32_t max_live = 64) {
    if (!account_) open_account();
    return {transformer_,
            backend_,
            token_bytes_of(text_.tokenizer.get()),
            model_,
            {.row_budget = 512,
             .max_live_requests = max_live,
             .memory = account_.get(),
             .slice_seconds = slice_seconds}};
  }

  static GenerateRequest request(std::int32_t prompt_length, std::int32_t gen_length = 32) {
    GenerateRequest made;
    made.prompt_ids.assign(static_cast<std::size_t>(prompt_length), 20);
    made.options.gen_length = gen_length;
    made.options.eos_stop = false;
    return made;
  }

  ResolvedRequest resolved(GenerateRequest request) const {
    return resolve_request(std::move(request), model_);
  }

  std::map<std::size_t, GenerateResult> run(StepLoop& loop) {
    std::map<std::size_t, GenerateResult> results;
    while (step(loop, results)) {
    }
    return results;
  }
  static bool step(StepLoop& loop, std::map<std::size_t, GenerateResult>& results) {
    return loop.step({}, [&](std::size_t number, GenerateResult result) {
      EXPECT_TRUE(results.emplace(number, std::move(result)).second) << "two results of a request";
    });
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  const Family& family_;
  ModelConfig config_;
  ModelTensors tensors_;
  ModelText text_;
  FailingBackend backend_;
  Transformer transformer_;
  std::shared_ptr<const RequestModel> model_;
  std::unique_ptr<MemoryAccount> account_;
};

TEST_F(StepLoopTest, AFailedForwardEndsOnlyItsRequests) {
  StepLoop whole = make_loop();
  whole.submit(0, resolved(request(20)));
  whole.submit(1, resolved(request(40)));
  const auto expected = run(whole);
  for (const Fault fault : {Fault::kNoMemory, Fault::kBroken}) {
    for (std::int64_t operations = 0; operations < 100; operations += 7) {
      StepLoop loop = make_loop(operations % 2 == 0 ? 1e9 : 0);
      loop.submit(0, resolved(request(20)));
      loop.submit(1, resolved(request(40)));
      backend_.fail_after(operations, fault);
      const auto failed = run(loop);
      ASSERT_EQ(failed.size(), 2u);
      // The last forwards may be of one of them alone.
      EXPECT_TRUE(failed.at(0).error || failed.at(1).error) << operations;
      for (const auto& [number, result] : failed) {
        if (!result.error) {
          EXPECT_EQ(result.output_ids, expected.at(number).output_ids);
          continue;
        }
        EXPECT_EQ(result.error->code,
                  fault == Fault::kNoMemory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal);
        EXPECT_EQ(result.finish_reason, FinishReason::kError);
      }
      EXPECT_EQ(loop.kv_bytes(), 0u);
      EXPECT_FALSE(loop.device_failed()) << "one bad forward is no broken device";
      loop.submit(2, resolved(request(20)));
      const auto later = run(loop);
      EXPECT_FALSE(later.at(2).error) << later.at(2).error->message;
    }
  }
}

TEST_F(StepLoopTest, ADeviceThatFailsFromThenOnIsNoticed) {
  StepLoop loop = make_loop();
  loop.submit(0, resolved(request(20)));
  backend_.fail_after(30, Fault::kBroken, true);
  EXPECT_EQ(run(loop).at(0).error->code, ErrorCode::kInternal);
  EXPECT_TRUE(loop.device_failed());
  loop.submit(1, resolved(request(20)));
  EXPECT_TRUE(run(loop).at(1).error);
  EXPECT_TRUE(loop.device_failed());
  backend_.fail_after(0, Fault::kNone);
  loop.submit(2, resolved(request(20)));
  EXPECT_FALSE(run(loop).at(2).error);
  EXPECT_FALSE(loop.device_failed());
}

TEST_F(StepLoopTest, MemoryThatIsShortIsNoBrokenDevice) {
  StepLoop loop = make_loop();
  loop.submit(0, resolved(request(20)));
  backend_.fail_after(30, Fault::kNoMemory, true);
  EXPECT_EQ(run(loop).at(0).error->code, ErrorCode::kOutOfMemory);
  EXPECT_FALSE(loop.device_failed());
}

TEST_F(StepLoopTest, RequestsAreNotAdmittedAgainstTheSameMemory) {
  // Memory for three canvases, of which the system says so all the time.
  const std::uint64_t kv = backend_.kv_bytes(transformer_.kv_shape(232));
  const std::uint64_t buffers = Transformer::buffer_bytes(backend_, config_, 512);
  backend_.set_available(3 * kv + buffers);
  StepLoop loop = make_loop();
  for (std::size_t i = 0; i < 64; ++i) loop.submit(i, resolved(request(200)));
  std::map<std::size_t, GenerateResult> results;
  std::size_t most = 0;
  bool more = true;
  while (more) {
    more = step(loop, results);
    most = std::max(most, loop.live());
    EXPECT_LE(loop.kv_bytes(), 3 * kv);
  }
  EXPECT_GE(most, 2u);
  EXPECT_LE(most, 3u);
  ASSERT_EQ(results.size(), 64u);
  for (const auto& [number, result] : results) EXPECT_FALSE(result.error) << number;
}

TEST_F(StepLoopTest, NothingLeftAdmitsNothing) {
  backend_.set_available(0);
  StepLoop loop = make_loop();
  loop.submit(0, resolved(request(20)));
  const auto results = run(loop);
  ASSERT_TRUE(results.at(0).error);
  EXPECT_EQ(results.at(0).error->code, ErrorCode::kOutOfMemory);
  EXPECT_NE(results.at(0).error->message.find("a canvas of 52 tokens needs"), std::string::npos)
      << results.at(0).error->message;
  EXPECT_THROW(loop.require_fits(resolved(request(20))), Error);
}

TEST_F(StepLoopTest, UnknownMemoryAdmitsAll) {
  backend_.set_available(std::nullopt);
  StepLoop loop = make_loop();
  EXPECT_NO_THROW(loop.require_fits(resolved(request(400))));
  loop.submit(0, resolved(request(400)));
  EXPECT_FALSE(run(loop).at(0).error);
}

TEST_F(StepLoopTest, LargeBuffersOfThePastDoNotKeepARequestOut) {
  const auto kv = [&](std::int64_t length) {
    return backend_.kv_bytes(transformer_.kv_shape(length));
  };
  const auto buffers = [&](std::int64_t rows) {
    return Transformer::buffer_bytes(backend_, config_, rows);
  };
  // Two of 200 rows together need larger buffers than one of 432 rows, which needs more K/V.
  const std::uint64_t both = 2 * kv(232) + buffers(464);
  const std::uint64_t one = kv(432) + buffers(432);
  backend_.set_available(std::max(both, one));
  StepLoop loop = make_loop();
  loop.submit(0, resolved(request(200)));
  loop.submit(1, resolved(request(200)));
  EXPECT_FALSE(run(loop).at(0).error);
  loop.submit(2, resolved(request(400)));
  const auto results = run(loop);
  EXPECT_FALSE(results.at(2).error) << results.at(2).error->message;
}

TEST_F(StepLoopTest, EveryLongRefreshIsSlicedTheFirstToo) {
  // Where a slice is a fifth of what a refresh takes, each must pause.
  const GenerateRequest wanted = [] {
    GenerateRequest made = request(400, 64);
    made.options.cache = CacheKind::kPrefix;
    made.options.block_length = 8;
    return made;
  }();
  double whole = 0;
  StepLoop measured = make_loop();
  measured.on_forward([&](const ForwardInfo& info) {
    if (info.rows > 400) whole = whole == 0 ? info.seconds : std::min(whole, info.seconds);
  });
  measured.submit(0, resolved(wanted));
  const auto expected = run(measured);
  StepLoop loop = make_loop(whole / 5);
  int pieces = 0;
  int unsliced = 0;
  int passes = 0;
  loop.on_forward([&](const ForwardInfo& info) {
    if (info.rows <= 64) return;
    ++pieces;
    if (!info.complete) return;
    ++passes;
    unsliced += pieces == 1;
    pieces = 0;
  });
  loop.submit(0, resolved(wanted));
  const auto results = run(loop);
  EXPECT_GE(passes, 8);
  EXPECT_EQ(unsliced, 0) << "of " << passes;
  EXPECT_EQ(results.at(0).output_ids, expected.at(0).output_ids);
}

TEST_F(StepLoopTest, TakesNoRequestThatWasResolvedAgainstAnotherModel) {
  StepLoop loop = make_loop();
  const auto other = std::make_shared<const RequestModel>(*model_);
  EXPECT_THROW(loop.submit(0, resolve_request(request(20), other)), Error);
  EXPECT_EQ(loop.waiting(), 0u);
}

TEST_F(StepLoopTest, WhatACallbackThrowsIsTheCallers) {
  StepLoop loop = make_loop();
  loop.submit(0, resolved(request(20)));
  const auto ignore = [](std::size_t, const GenerateResult&) {};
  EXPECT_THROW(
      {
        while (loop.step([](const StepEvent&) -> bool { throw std::string("mine"); }, ignore)) {
        }
      },
      std::string);
}

}  // namespace
}  // namespace fdllm
