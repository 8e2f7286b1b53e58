#include "bench/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/system_memory.h"
#include "bench/host.h"

namespace fdllm::bench {
namespace {

/// Rows that a refresh scores.
constexpr std::int64_t kBlockLength = 32;

void check_settings(const StepSettings& settings, std::int64_t score, const ModelConfig& config) {
  const auto check_range = [](const char* name, std::int64_t value, std::int64_t least,
                              std::int64_t most, const char* why) {
    if (value >= least && value <= most) return;
    fail(ErrorCode::kInvalidArgument, "--{}: expected {} to {} ({}), found {}", name, least, most,
         why, value);
  };
  check_range("attend", settings.attend, 1, config.max_positions, "the model's positions");
  check_range("rows", settings.rows, 1, settings.attend, "the rows are a window of --attend");
  check_range("score", score, 1, settings.rows, "only rows of the forward can be scored");
  check_range("repeat", settings.repeat, 1, 1000000, "forwards that are measured");
  check_range("warmup", settings.warmup, 0, 1000000, "forwards before them");
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void require_memory(BenchModel& model, const StepSettings& settings) {
  const std::uint64_t kv = model.backend().kv_bytes(model.transformer().kv_shape(settings.attend));
  const std::uint64_t buffers =
      Transformer::buffer_bytes(model.backend(), model.config(), settings.rows);
  const std::optional<std::uint64_t> available = model.backend().available_memory();
  if (available && kv + buffers > *available) {
    fail(ErrorCode::kOutOfMemory,
         "K/V of {} rows need {}, buffers of {} rows {}; {} is available; give a smaller --attend "
         "or --rows",
         settings.attend, bytes_text(kv), settings.rows, bytes_text(buffers),
         bytes_text(*available));
  }
}

/// K and V as a refresh would leave them: of the size of a real model's, without its time.
void fill_kv(BenchModel& model, KvSlab& kv) {
  constexpr std::int32_t kRowsAtOnce = 256;
  const ModelConfig& config = model.config();
  const AttentionShape shape{config.heads, config.kv_heads, config.head_dim};
  const auto length = static_cast<std::int32_t>(kv.length());
  const std::size_t angles = static_cast<std::size_t>(length) * (config.head_dim / 2);
  const auto cos = model.backend().upload(std::vector<float>(angles, 1.0f));
  const auto sin = model.backend().upload(std::vector<float>(angles, 0.0f));
  for (std::int32_t first = 0; first < length; first += kRowsAtOnce) {
    const std::vector<std::int32_t> positions =
        positions_of({first, std::min(first + kRowsAtOnce, length)});
    std::vector<float> values(positions.size() * static_cast<std::size_t>(shape.row()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = std::sin(0.37f * static_cast<float>((i + first) % 104729));
    }
    const auto qkv = model.backend().upload(values);
    const SequenceRows rows{&kv, {0, static_cast<std::int32_t>(positions.size())}, positions, {}};
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
      model.backend().rope_store(*qkv, *cos, *sin, {shape, {&rows, 1}, layer});
    }
  }
}

}  // namespace

StepReport run_step(BenchModel& model, const StepSettings& settings) {
  const ModelConfig& config = model.config();
  StepReport report;
  report.rows = settings.rows;
  report.attend = settings.attend;
  const bool refresh = settings.rows == settings.attend;
  report.score =
      settings.score.value_or(refresh ? std::min(settings.rows, kBlockLength) : settings.rows);
  check_settings(settings, report.score, config);
  require_memory(model, settings);

  const auto length = static_cast<std::int32_t>(settings.attend);
  const auto first = static_cast<std::int32_t>(settings.attend - settings.rows);
  const auto first_scored = static_cast<std::int32_t>(settings.attend - report.score);
  std::vector<std::int32_t> tokens = random_tokens(config, length);
  std::fill(tokens.begin() + first_scored, tokens.end(), config.mask_token);
  ForwardPlan plan{positions_of({first, length}), {{0, length}}, {}};
  std::vector<ScoreRequest> requests;
  const TokenException never_mask[] = {{config.mask_token, TokenRule::kNeverPicked}};
  for (std::int32_t position = first_scored; position < length; ++position) {
    // With a logit shift, position + shift is what this row predicts: no further row is run.
    plan.score.push_back(position + config.logit_shift);
    requests.push_back({.position = plan.score.back(), .exceptions = never_mask});
  }
  const auto kv = model.backend().allocate_kv(model.transformer().kv_shape(length));
  fill_kv(model, *kv);

  const SequenceInput input{kv.get(), tokens, &plan, requests};
  std::vector<Score> scores(requests.size());
  ForwardPass pass;
  std::vector<double> seconds;
  std::vector<OperationCosts> costs;
  for (int run = 0; run < settings.warmup + settings.repeat; ++run) {
    if (settings.on_progress) {
      settings.on_progress({"forwards", run, settings.warmup + settings.repeat});
    }
    model.backend().reset();
    const auto begin = std::chrono::steady_clock::now();
    model.transformer().forward(pass, std::span(&input, 1), scores);
    const auto end = std::chrono::steady_clock::now();
    if (run < settings.warmup) continue;
    seconds.push_back(std::chrono::duration<double>(end - begin).count());
    costs.push_back(model.backend().costs());
  }
  report.median_seconds = median(seconds);
  report.min_seconds = *std::min_element(seconds.begin(), seconds.end());
  report.max_seconds = *std::max_element(seconds.begin(), seconds.end());
  report.memory = anonymous_memory();
  report.costs = costs.front();
  for (std::size_t i = 0; i < kOperations; ++i) {
    std::vector<double> times;
    for (const OperationCosts& run : costs) times.push_back(run[i].seconds);
    report.costs[i].seconds = median(times);
  }
  return report;
}

}  // namespace fdllm::bench
