#include "fastdllm/progress.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/engine.h"
#include "fastdllm/service.h"

#include "engine/pass_progress.h"

namespace fdllm {
namespace {

using Phase = LoadProgress::Phase;

std::filesystem::path model_path(const std::string& name) {
  return std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / name;
}

/// Everything is told, and forwards of many rows pause between layers where `slice_seconds` is 0.
EngineOptions options_with(double progress_seconds, double slice_seconds = 1e9) {
  EngineOptions options;
  options.threads = 2;
  options.progress_seconds = progress_seconds;
  options.slice_seconds = slice_seconds;
  return options;
}

GenerateRequest request_for(const Engine& engine, const std::string& question,
                            std::int32_t gen_length = 128) {
  GenerateRequest request;
  const ChatMessage message{"user", question};
  request.prompt_ids = engine.tokenize(engine.apply_chat_template(std::span(&message, 1)));
  request.options.gen_length = gen_length;
  return request;
}

TEST(LoadProgress, IsMonotoneAndComplete) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    std::vector<LoadProgress> told;
    const Engine engine =
        Engine::load(model_path(name), options_with(0), [&](const LoadProgress& progress) {
          told.push_back(progress);
          return true;
        });
    const auto matrices = static_cast<std::size_t>(engine.info().layers) * 4 + 1;
    ASSERT_EQ(told.size(), matrices + 3);
    EXPECT_EQ(told.front().phase, Phase::kOpening);
    EXPECT_EQ(told.front().bytes_done, 0U);
    EXPECT_EQ(told[1].phase, Phase::kPacking);
    EXPECT_EQ(told[1].bytes_done, 0U);
    for (std::size_t i = 2; i + 1 < told.size(); ++i) {
      EXPECT_EQ(told[i].phase, Phase::kPacking);
      EXPECT_GT(told[i].bytes_done, told[i - 1].bytes_done);
      EXPECT_EQ(told[i].bytes_total, told.back().bytes_total);
    }
    EXPECT_EQ(told.back().phase, Phase::kLoaded);
    EXPECT_EQ(told.back().bytes_done, told.back().bytes_total);
    EXPECT_EQ(told[told.size() - 2].bytes_done, told.back().bytes_total);
    // The matrices are most of the file: it holds bf16 numbers and an embedding of its own.
    const auto file = std::filesystem::file_size(model_path(name) / "model.safetensors");
    EXPECT_LT(told.back().bytes_total, file);
    EXPECT_GT(told.back().bytes_total, file / 2);
  }
}

TEST(LoadProgress, IsToldNoOftenerThanAsked) {
  int told = 0;
  Engine::load(model_path("llada-nano"), options_with(1000), [&](const LoadProgress&) {
    ++told;
    return true;
  });
  EXPECT_EQ(told, 3);  // each phase
}

TEST(LoadProgress, AListenerCanEndTheLoadAtAnyCall) {
  for (const int last : {0, 1, 7, 1 << 20}) {
    int calls = 0;
    try {
      Engine::load(model_path("llada-nano"), options_with(0), [&](const LoadProgress& progress) {
        return progress.phase != Phase::kLoaded && calls++ < last;
      });
      FAIL() << "the load went on";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled);
      EXPECT_NE(std::string(error.what()).find("llada-nano"), std::string::npos);
    }
    if (last < 100) {
      EXPECT_EQ(calls, last + 1);
    }
  }
  EXPECT_GT(Engine::load(model_path("llada-nano"), options_with(0)).info().layers, 0);
}

TEST(LoadProgress, RefusesAnIntervalThatIsNone) {
  for (const double seconds : {-1.0, std::nan("")}) {
    EXPECT_THROW(Engine::load(model_path("llada-nano"), options_with(seconds)), Error);
  }
}

struct Told {
  std::map<std::int32_t, std::vector<ForwardProgress>> by_step;
  std::vector<StepEvent> steps;
  GenerateResult result;
};

Told generate(Engine& engine, const GenerateRequest& request) {
  Told told;
  const auto results = engine.generate(
      std::span(&request, 1),
      [&](const StepEvent& event) {
        told.steps.push_back(event);
        return true;
      },
      {},
      [&](const ForwardProgress& progress) {
        EXPECT_EQ(progress.step, std::ssize(told.steps));  // before the step's own event
        told.by_step[progress.step].push_back(progress);
        return true;
      });
  told.result = results.front();
  return told;
}

TEST(ForwardProgress, TellsEveryLayerOfLongForwardsAndChangesNothing) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    for (const double slice_seconds : {0.0, 1e9}) {
      Engine engine = Engine::load(model_path(name), options_with(0, slice_seconds));
      const GenerateRequest request =
          request_for(engine, "Sam has 18 rocks and Olga has 8 more. How many have they?");
      const auto alone = engine.generate(std::span(&request, 1)).front();
      const Told told = generate(engine, request);
      EXPECT_EQ(told.result.output_ids, alone.output_ids);
      EXPECT_EQ(told.result.refresh_forwards, alone.refresh_forwards);
      ASSERT_EQ(std::ssize(told.by_step), told.result.refresh_forwards);
      for (const auto& [step, calls] : told.by_step) {
        const StepEvent& event = told.steps.at(static_cast<std::size_t>(step));
        EXPECT_GT(event.query_rows, 64);
        ASSERT_EQ(std::ssize(calls), engine.info().layers);
        double seconds = 0;
        for (std::size_t i = 0; i < calls.size(); ++i) {
          EXPECT_EQ(calls[i].layers_done, static_cast<std::int32_t>(i) + 1);
          EXPECT_EQ(calls[i].layers, engine.info().layers);
          EXPECT_EQ(calls[i].rows, event.query_rows);
          EXPECT_GE(calls[i].seconds, seconds);
          seconds = calls[i].seconds;
        }
      }
    }
  }
}

TEST(ForwardProgress, IsNotToldOfForwardsThatAreFast) {
  Engine engine = Engine::load(model_path("llada-nano"), options_with(1000));
  EXPECT_TRUE(generate(engine, request_for(engine, "Compute 1 + 2.")).by_step.empty());
}

TEST(ForwardProgress, AListenerCanCancelInTheMiddleOfAForward) {
  for (const double slice_seconds : {0.0, 1e9}) {
    Engine engine = Engine::load(model_path("llada-nano"), options_with(0, slice_seconds));
    const std::vector<GenerateRequest> requests = {request_for(engine, "Compute 1 + 2."),
                                                   request_for(engine, "Compute 3 + 4.")};
    const auto alone = engine.generate(std::span(&requests[1], 1)).front();
    int steps = 0, calls = 0;
    const auto results = engine.generate(
        std::span(requests).first(1),
        [&](const StepEvent&) {
          ++steps;
          return true;
        },
        {}, [&](const ForwardProgress&) { return ++calls < 2; });
    EXPECT_EQ(results[0].finish_reason, FinishReason::kCancelled);
    EXPECT_EQ(steps, 0);
    EXPECT_EQ(calls, 2);

    // Another request of the same forward goes on and gets what it gets alone.
    const auto both = engine.generate(
        requests, {}, {}, [](const ForwardProgress& progress) { return progress.request != 0; });
    EXPECT_EQ(both[0].finish_reason, FinishReason::kCancelled);
    EXPECT_FALSE(both[1].error);
    EXPECT_EQ(both[1].output_ids, alone.output_ids);
  }
}

TEST(ForwardProgress, ComesThroughAServiceToThoseWhoListen) {
  Engine engine = Engine::load(model_path("llada-nano"), options_with(0));
  const GenerateRequest request = request_for(engine, "Compute 12 + 7 - 3.");
  std::vector<ForwardProgress> told;
  Service::Ticket listening = 0;
  {
    Service service(engine);
    std::promise<void> done, other_done;
    Service::Handlers handlers{{}, [&](const GenerateResult&) { done.set_value(); }};
    handlers.on_progress = [&](const ForwardProgress& progress) { told.push_back(progress); };
    listening = service.submit(request, std::move(handlers));
    service.submit(request, {{}, [&](const GenerateResult&) { other_done.set_value(); }});
    done.get_future().wait();
    other_done.get_future().wait();
  }
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.size() % static_cast<std::size_t>(engine.info().layers), 0U);
  for (const ForwardProgress& progress : told) EXPECT_EQ(progress.request, listening);
}

TEST(PassProgress, LooksAtTheClockAsOftenAsItTells) {
  using Clock = PassProgress::Clock;
  const Clock::time_point start{};
  const auto at = [&](int ms) { return start + std::chrono::milliseconds(ms); };
  PassProgress progress(0.1);
  progress.start(start);
  EXPECT_EQ(progress.layers_at_once(32), 1);  // nothing is known yet
  progress.note(1, 0.02);
  EXPECT_EQ(progress.layers_at_once(31), 5);
  EXPECT_EQ(progress.layers_at_once(3), 3);
  EXPECT_FALSE(progress.is_due(at(20), 31));
  EXPECT_TRUE(progress.is_due(at(120), 26));
  EXPECT_FALSE(progress.is_due(at(130), 25));
  EXPECT_TRUE(progress.is_due(at(140), 0));  // the end is told since the beginning was
  progress.start(at(200));
  EXPECT_FALSE(progress.is_due(at(210), 0));
  EXPECT_DOUBLE_EQ(progress.seconds(at(450)), 0.25);
  progress.note(1, 5.0);
  EXPECT_EQ(progress.layers_at_once(31), 1);
}

}  // namespace
}  // namespace fdllm
