// Allocations that fail, one after another, on the thread that runs the loop: whatever they hit,
// each request gets exactly one result, which is right or says that memory is out, and the engine
// goes on.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <new>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/engine.h"
#include "fastdllm/service.h"

namespace {

/// Of this thread: how many allocations still succeed; below 0: all.
thread_local std::int64_t allocations_left = -1;
thread_local bool fails_for_ever = false;
thread_local std::int64_t failed = 0;

void* allocate(std::size_t size) {
  if (allocations_left >= 0 && allocations_left-- == 0) {
    ++failed;
    if (fails_for_ever) allocations_left = 0;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(std::max<std::size_t>(size, 1))) return memory;
  throw std::bad_alloc();
}

}  // namespace

// The whole test program's.
void* operator new(std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace fdllm {
namespace {

/// Fails the allocation number `after` of this thread from now on, and perhaps all that follow.
struct Outage {
  Outage(std::int64_t after, bool for_ever) {
    failed = 0;
    fails_for_ever = for_ever;
    allocations_left = after;
  }
  ~Outage() { end(); }
  static void end() { allocations_left = -1; }
};

Engine load() {
  EngineOptions options;
  options.threads = 1;
  options.slice_seconds = 0;  // with paused passes too
  return Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano",
                      options);
}

std::vector<GenerateRequest> requests_of(const Engine& engine) {
  std::vector<GenerateRequest> requests(3);
  for (GenerateRequest& request : requests) {
    request.prompt_ids = engine.tokenize("Sam has 18 rocks and Olga has 8 more. How many?");
    request.prompt_ids.resize(60, 20);
    request.options.gen_length = 16;
    request.options.block_length = 16;
  }
  requests[1].options.stop = {"never in an answer of this model, nor short"};
  requests[2].options.temperature = 0.5;
  return requests;
}

void expect_right_or_out_of_memory(const GenerateResult& found, const GenerateResult& expected) {
  if (found.error) {
    EXPECT_EQ(found.error->code, ErrorCode::kOutOfMemory) << found.error->message;
    EXPECT_EQ(found.finish_reason, FinishReason::kError);
  } else {
    EXPECT_EQ(found.output_ids, expected.output_ids);
    EXPECT_EQ(found.text, expected.text);
  }
}

/// Each early allocation, then ever fewer.
std::int64_t next_of(std::int64_t after) {
  return after + 1 + after / 12;
}

TEST(NoMemory, GenerateLosesNoOthersResult) {
  Engine engine = load();
  const std::vector<GenerateRequest> requests = requests_of(engine);
  const std::vector<GenerateResult> expected = engine.generate(requests);
  for (const bool for_ever : {false, true}) {
    bool reached_end = false;
    int alone = 0;
    for (std::int64_t after = 0; !reached_end; after = next_of(after)) {
      std::vector<GenerateResult> found;
      std::int64_t hits = 0;
      try {
        const Outage outage(after, for_ever);
        found = engine.generate(requests);
        hits = failed;
      } catch (const Error& error) {
        Outage::end();
        EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
        continue;
      }
      reached_end = hits == 0;
      ASSERT_EQ(found.size(), requests.size());
      std::ptrdiff_t errors = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        expect_right_or_out_of_memory(found[i], expected[i]);
        errors += found[i].error.has_value();
      }
      alone += errors == 1;
    }
    if (!for_ever) {
      EXPECT_GT(alone, 0) << "no failure ended one request alone";
    }
  }
  EXPECT_EQ(engine.generate(requests)[0].output_ids, expected[0].output_ids);
}

TEST(NoMemory, TheServiceLives) {
  Engine engine = load();
  const std::vector<GenerateRequest> requests = requests_of(engine);
  const std::vector<GenerateResult> expected = engine.generate(requests);
  for (const bool for_ever : {false, true}) {
    std::atomic<std::int64_t> hits{1};
    for (std::int64_t after = 0; hits > 0; after = next_of(after)) {
      std::atomic<bool> armed{true};
      Service service(engine, {}, [&](const ForwardInfo&) {  // on the loop's thread
        if (!armed.exchange(false)) return;
        failed = 0;
        fails_for_ever = for_ever;
        allocations_left = after;
      });
      std::vector<std::promise<GenerateResult>> promises(requests.size());
      std::vector<Service::Submission> submissions;
      for (std::size_t i = 0; i < requests.size(); ++i) {
        Service::Handlers handlers;
        handlers.on_result = [&, i](GenerateResult result) {
          // The first that hears of an end puts an end to it.
          hits = failed;
          Outage::end();
          promises[i].set_value(std::move(result));
        };
        submissions.push_back({engine.resolve(requests[i]), std::move(handlers)});
      }
      service.submit_all(std::move(submissions));
      for (std::size_t i = 0; i < requests.size(); ++i) {
        expect_right_or_out_of_memory(promises[i].get_future().get(), expected[i]);
      }
      std::promise<GenerateResult> later;
      Service::Handlers handlers;
      handlers.on_result = [&](GenerateResult result) { later.set_value(std::move(result)); };
      service.submit(requests[0], std::move(handlers));
      const GenerateResult result = later.get_future().get();
      ASSERT_FALSE(result.error) << result.error->message;
      EXPECT_EQ(result.output_ids, expected[0].output_ids);
      service.drain();
      const ServiceState state = service.state();
      EXPECT_EQ(state.waiting + state.live + state.kv_bytes, 0u);
      EXPECT_FALSE(state.device_failed);
    }
  }
}

TEST(NoMemory, SubmittingChangesNothingWhereItFails) {
  Engine engine = load();
  const std::vector<GenerateRequest> requests = requests_of(engine);
  std::atomic<int> results{0};
  int refused = 0;
  {
    Service service(engine);
    for (std::int64_t after = 0;; ++after) {
      std::vector<Service::Submission> submissions;
      for (const GenerateRequest& request : requests) {
        submissions.push_back({engine.resolve(request),
                               {.on_step = {}, .on_result = [&](GenerateResult) { ++results; }}});
      }
      bool is_refused = false;
      try {
        const Outage outage(after, false);
        service.submit_all(std::move(submissions));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
        is_refused = true;
      }
      if (!is_refused) break;
      ++refused;
      const ServiceState state = service.state();
      ASSERT_EQ(state.waiting + state.live, 0u);
    }
    service.drain();
  }
  EXPECT_GT(refused, 5);
  EXPECT_EQ(results, 3);
}

TEST(NoMemory, AHandlerThatThrowsEndsItsRequestAlone) {
  Engine engine = load();
  const std::vector<GenerateRequest> requests = requests_of(engine);
  const std::vector<GenerateResult> expected = engine.generate(requests);
  std::promise<GenerateResult> first, third;
  {
    Service service(engine);
    std::vector<Service::Submission> submissions;
    submissions.push_back(
        {engine.resolve(requests[0]),
         {.on_step = [](const StepEvent&) { throw std::bad_alloc(); },
          .on_result = [&](GenerateResult result) { first.set_value(std::move(result)); }}});
    submissions.push_back(
        {engine.resolve(requests[1]),
         {.on_step = {}, .on_result = [](GenerateResult) { throw std::runtime_error("lost"); }}});
    submissions.push_back(
        {engine.resolve(requests[2]), {.on_step = {}, .on_result = [&](GenerateResult result) {
                                         third.set_value(std::move(result));
                                       }}});
    service.submit_all(std::move(submissions));
    service.drain();
    EXPECT_EQ(service.state().waiting + service.state().live, 0u);
  }
  const GenerateResult failed_result = first.get_future().get();
  ASSERT_TRUE(failed_result.error);
  EXPECT_EQ(failed_result.error->code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(third.get_future().get().output_ids, expected[2].output_ids);
}

}  // namespace
}  // namespace fdllm
