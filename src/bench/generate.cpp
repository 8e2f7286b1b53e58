#include "bench/generate.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "bench/host.h"
#include "engine/step_loop.h"

namespace fdllm::bench {
namespace {

constexpr std::int32_t kMaxBatch = 4096;
constexpr std::int32_t kMaxWarmup = 1000;

void check_random(const GenerateSettings& settings) {
  const GenerateOptions& options = settings.options;
  if (!options.rule.get("tokens_per_forward") && !options.rule.get("steps")) {
    fail(ErrorCode::kInvalidArgument,
         "random weights are never sure of a token: give --tokens-per-forward X (3.25 is what the "
         "paper's threshold commits) or --steps N");
  }
  if (settings.prompt || !options.stop.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "{} contradicts --shape: random weights have no tokenizer; use --model DIR",
         settings.prompt ? "--prompt" : "--stop");
  }
}

void check_settings(const BenchModel& model, const GenerateSettings& settings) {
  if (model.has_random_weights()) check_random(settings);
  if (settings.prompt && settings.prompt_length) {
    fail(ErrorCode::kInvalidArgument,
         "--prompt contradicts --prompt-length: the length of a text is its own");
  }
  if (settings.batch < 1 || settings.batch > kMaxBatch) {
    fail(ErrorCode::kInvalidArgument, "--batch: expected 1 to {}, found {}", kMaxBatch,
         settings.batch);
  }
  if (settings.warmup < 0 || settings.warmup > kMaxWarmup) {
    fail(ErrorCode::kInvalidArgument, "--warmup: expected 0 to {}, found {}", kMaxWarmup,
         settings.warmup);
  }
  const std::int64_t length = settings.prompt_length.value_or(kDefaultPromptLength);
  if (!settings.prompt && (length < 0 || length > model.config().max_positions)) {
    fail(ErrorCode::kInvalidArgument,
         "--prompt-length: expected 0 to {} (the model's positions), found {}",
         model.config().max_positions, length);
  }
}

/// Prompts that differ, of one length.
std::vector<GenerateRequest> make_requests(const BenchModel& model,
                                           const GenerateSettings& settings) {
  std::vector<GenerateRequest> requests;
  for (std::int32_t i = 0; i < settings.batch; ++i) {
    GenerateRequest& request = requests.emplace_back();
    request.options = settings.options;
    // What is measured is never shorter than asked.
    request.options.gen_length = settings.options.gen_length.value_or(kDefaultGenLength);
    if (model.has_random_weights()) request.options.eos_stop = false;
    request.prompt_ids =
        settings.prompt
            ? model.prompt_tokens(*settings.prompt)
            : random_tokens(model.config(), settings.prompt_length.value_or(kDefaultPromptLength),
                            static_cast<std::uint64_t>(i));
  }
  return requests;
}

/// Decodes all requests and adds what that took to the report.
void run_requests(BenchModel& model, const std::vector<ResolvedRequest>& requests,
                  const BenchListener& on_progress, GenerateReport& report) {
  const std::int64_t gen_length = report.options.gen_length.value_or(kDefaultGenLength);
  const std::int64_t canvas = report.prompt_length + gen_length;
  const std::unique_ptr<StepLoop> loop = model.make_loop();
  MemoryWatch memory;
  const std::int64_t total = gen_length * std::ssize(requests);
  ForwardListener listener;
  if (on_progress) {
    listener = [&](const ForwardProgress& forward) {
      on_progress({"tokens", report.committed, total,
                   fmt::format("layer {} of {}", forward.layers_done, forward.layers)});
      return true;
    };
  }
  for (std::size_t i = 0; i < requests.size(); ++i) loop->submit(i, requests[i], listener);

  bool whole = false, part = false;
  const auto on_step = [&](const StepEvent& event) {
    (event.query_end - event.query_begin == canvas ? whole : part) = true;
    report.committed += std::ssize(event.committed);
    return true;
  };
  const auto on_result = [&](std::size_t, const GenerateResult& result) {
    if (result.finish_reason == FinishReason::kError) {
      throw Error(result.error->code, result.error->message);
    }
    report.useful += std::ssize(result.ids);
  };
  using Clock = std::chrono::steady_clock;
  bool more = true;
  while (more) {
    whole = part = false;
    const auto begin = Clock::now();
    more = loop->step(on_step, on_result);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    report.seconds += seconds;
    if (on_progress) on_progress({"tokens", report.committed, total});
    if (!whole && !part) continue;
    ForwardTimes& times = whole && part ? report.mixed : whole ? report.refresh : report.window;
    ++times.count;
    times.seconds += seconds;
  }
  if (model.has_random_weights()) report.useful = report.committed;
  report.peak_memory = memory.peak();
}

}  // namespace

GenerateReport run_generate(BenchModel& model, const GenerateSettings& settings) {
  check_settings(model, settings);
  std::vector<ResolvedRequest> requests;
  for (GenerateRequest& request : make_requests(model, settings)) {
    requests.push_back(model.engine().resolve(std::move(request)));
  }
  model.backend().set_timing(false);

  GenerateReport report;
  report.prompt_length = std::ssize(requests.front().prompt_ids());
  report.options = requests.front().options();
  for (std::int32_t run = 0; run < settings.warmup; ++run) {
    GenerateReport untimed = report;
    run_requests(model, requests, settings.on_progress, untimed);
  }
  run_requests(model, requests, settings.on_progress, report);
  return report;
}

}  // namespace fdllm::bench
