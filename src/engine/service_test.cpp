#include "fastdllm/service.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

using std::chrono::milliseconds;

Engine load(const EngineOptions& options) {
  return Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano",
                      options);
}

EngineOptions two_threads() {
  EngineOptions options;
  options.threads = 2;
  return options;
}

GenerateRequest request_for(const Engine& engine, int number, std::int32_t gen_length = 64) {
  const ChatMessage message{
      "user", "Compute " + std::to_string(number + 3) + " + " + std::to_string(7 * number) + "."};
  GenerateRequest request;
  request.prompt_ids = engine.tokenize(engine.apply_chat_template(std::span(&message, 1)));
  request.options.gen_length = gen_length;
  if (number % 3 == 1) request.options.cache = CacheKind::kPrefix;
  if (number % 3 == 2) request.options.temperature = 0.7;
  request.options.seed = static_cast<std::uint64_t>(number);
  return request;
}

/// A request that takes as many forwards as it has masks.
GenerateRequest slow_request(const Engine& engine, std::int32_t gen_length = 448) {
  GenerateRequest request = request_for(engine, 0, gen_length);
  request.options.cache = CacheKind::kNone;
  request.options.rule.set("steps", gen_length);
  request.options.eos_stop = false;
  return request;
}

/// A submitted request whose result can be waited for.
struct Pending {
  std::promise<GenerateResult> promise;
  std::future<GenerateResult> future = promise.get_future();
  std::atomic<int> steps{0};
  std::atomic<bool> ended{false};

  Service::Handlers handlers() {
    return {[this](const StepEvent&) {
              EXPECT_FALSE(ended);
              ++steps;
            },
            [this](GenerateResult result) {
              ended = true;
              promise.set_value(std::move(result));
            }};
  }
  GenerateResult wait() { return future.get(); }
  void wait_for_steps(int count) const {
    while (steps < count) std::this_thread::sleep_for(milliseconds(1));
  }
};

TEST(Service, AnswersAreThoseOfEachRequestAlone) {
  // A slice of no time pauses every pass of many rows after each layer.
  for (const double slice_seconds : {0.0, 0.05}) {
    EngineOptions options = two_threads();
    options.slice_seconds = slice_seconds;
    Engine engine = load(options);
    std::vector<GenerateRequest> requests;
    std::vector<GenerateResult> alone;
    for (int i = 0; i < 24; ++i) {
      requests.push_back(request_for(engine, i, 32 * (1 + i % 3)));
      alone.push_back(engine.generate(std::span(&requests.back(), 1)).front());
    }
    Service service(engine);
    std::vector<std::unique_ptr<Pending>> pending;
    std::mt19937 random(5);
    for (const GenerateRequest& request : requests) {
      pending.push_back(std::make_unique<Pending>());
      service.submit(request, pending.back()->handlers());
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const GenerateResult result = pending[i]->wait();
      EXPECT_FALSE(result.error);
      EXPECT_EQ(result.output_ids, alone[i].output_ids) << i << " with slice " << slice_seconds;
      EXPECT_EQ(result.finish_reason, alone[i].finish_reason);
      EXPECT_EQ(result.refresh_forwards, alone[i].refresh_forwards);
      EXPECT_EQ(result.window_forwards, alone[i].window_forwards);
    }
  }
}

TEST(Service, ALongPassPausesForTheStepsOfOthers) {
  EngineOptions options = two_threads();
  options.slice_seconds = 0;
  Engine engine = load(options);
  std::vector<ForwardInfo> forwards;
  Pending slow;
  Pending quick;
  {
    Service service(engine, {}, [&](const ForwardInfo& info) { forwards.push_back(info); });
    service.submit(slow_request(engine, 128), slow.handlers());
    slow.wait_for_steps(3);
    service.submit(request_for(engine, 0), quick.handlers());
    quick.wait();
    service.cancel(1);
    slow.wait();
  }
  int between = 0;
  bool paused = false;
  for (const ForwardInfo& info : forwards) {
    EXPECT_GT(info.rows, 0);
    EXPECT_GT(info.layers, 0);
    if (info.complete && paused && info.rows <= 64) ++between;
    if (info.rows > 64) paused = !info.complete;
  }
  EXPECT_GT(between, 0) << "no block step ran while a refresh was paused";
}

TEST(Service, CancellingFreesTheRequest) {
  Engine engine = load(two_threads());
  Service service(engine);
  Pending pending;
  const Service::Ticket ticket = service.submit(slow_request(engine), pending.handlers());
  pending.wait_for_steps(2);
  service.cancel(ticket);
  const GenerateResult result = pending.wait();
  EXPECT_EQ(result.finish_reason, FinishReason::kCancelled);
  EXPECT_LT(result.refresh_forwards, 448);
  service.drain();
  EXPECT_EQ(service.state().live, 0u);
  EXPECT_EQ(service.state().waiting, 0u);
  service.cancel(ticket);  // of a request that has ended: nothing happens
  service.cancel(12345);
}

TEST(Service, OneCancelledRequestOfAPausedPassLeavesTheOthersAlone) {
  EngineOptions options = two_threads();
  options.slice_seconds = 0;
  Engine engine = load(options);
  const GenerateRequest kept = slow_request(engine, 64);
  const GenerateResult alone = engine.generate(std::span(&kept, 1)).front();
  Service service(engine);
  Pending first;
  Pending second;
  const Service::Ticket ticket = service.submit(slow_request(engine, 64), first.handlers());
  service.submit(kept, second.handlers());
  first.wait_for_steps(5);
  service.cancel(ticket);
  EXPECT_EQ(first.wait().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(second.wait().output_ids, alone.output_ids);
}

TEST(Service, DeadlineEndsARequestWithWhatItHas) {
  Engine engine = load(two_threads());
  Service service(engine);
  Pending pending;
  service.submit(slow_request(engine), pending.handlers(), milliseconds(50));
  const GenerateResult result = pending.wait();
  EXPECT_EQ(result.finish_reason, FinishReason::kDeadline);
  EXPECT_LT(result.refresh_forwards, 448);
}

TEST(Service, RefusesMoreThanItsQueueHolds) {
  EngineOptions options = two_threads();
  options.max_live_requests = 1;
  Engine engine = load(options);
  ServiceOptions service_options;
  service_options.max_waiting = 1;
  // The service ends what is left when it goes, so they must outlive it.
  Pending first;
  Pending second;
  Service service(engine, service_options);
  service.submit(slow_request(engine), first.handlers());
  const Service::Ticket waiting = service.submit(slow_request(engine), second.handlers());
  try {
    service.submit(slow_request(engine), {});
    ADD_FAILURE() << "a third request was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBusy);
  }
  first.wait_for_steps(1);
  EXPECT_EQ(service.state().live, 1u);
  EXPECT_EQ(service.state().waiting, 1u);
  EXPECT_GT(service.state().kv_bytes, 0u);
  service.cancel(waiting);
  const GenerateResult result = second.wait();
  EXPECT_EQ(result.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(result.refresh_forwards, 0);
}

TEST(Service, TakesSeveralRequestsOrNone) {
  EngineOptions options = two_threads();
  options.max_live_requests = 1;
  Engine engine = load(options);
  ServiceOptions service_options;
  service_options.max_waiting = 2;
  std::vector<Pending> all(3);
  Service service(engine, service_options);
  EXPECT_THROW(service.submit_all(std::vector<Service::Submission>(
                   4, {.request = engine.resolve(slow_request(engine)), .handlers = {}})),
               Error);
  Engine other = load(options);
  std::vector<Service::Submission> submissions(
      2, {.request = engine.resolve(request_for(engine, 0)), .handlers = {}});
  submissions[1].request = other.resolve(request_for(other, 0));
  EXPECT_THROW(service.submit_all(submissions), Error);
  EXPECT_EQ(service.state().waiting + service.state().live, 0u);
  // What was refused has left all places free, at once.
  submissions.clear();
  for (Pending& pending : all) {
    submissions.push_back({engine.resolve(request_for(engine, 0)), pending.handlers()});
  }
  EXPECT_EQ(service.submit_all(submissions).size(), 3u);
  for (Pending& pending : all) EXPECT_EQ(pending.wait().finish_reason, FinishReason::kStop);
}

TEST(Service, InvalidRequestsAreRefusedAtOnce) {
  Engine engine = load(two_threads());
  Service service(engine);
  GenerateRequest request = request_for(engine, 0);
  request.options.gen_length = -1;
  EXPECT_THROW(service.submit(request, {}), Error);
  EXPECT_EQ(service.state().waiting, 0u);
}

TEST(Service, DrainingFinishesWhatIsLiveAndTakesNothingNew) {
  Engine engine = load(two_threads());
  Service service(engine);
  Pending pending;
  service.submit(slow_request(engine, 64), pending.handlers());
  service.drain();
  EXPECT_EQ(pending.wait().refresh_forwards, 64);
  EXPECT_TRUE(service.state().draining);
  try {
    service.submit(request_for(engine, 0), {});
    ADD_FAILURE() << "a draining service took a request";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
}

TEST(Service, EndingCancelsWhatIsLeft) {
  Engine engine = load(two_threads());
  Pending live;
  Pending waiting;
  {
    Service service(engine);
    service.submit(slow_request(engine), live.handlers());
    live.wait_for_steps(1);
    service.submit(slow_request(engine), waiting.handlers());
  }
  EXPECT_EQ(live.wait().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting.wait().finish_reason, FinishReason::kCancelled);
}

}  // namespace
}  // namespace fdllm
