#include "backend/cuda/device_head.h"

#include <algorithm>

#include "backend/cpu/sampling.h"
#include "base/check.h"

namespace fdllm::cuda {
namespace {

/// Hidden rows whose logits one pass over the vocabulary takes.
constexpr std::int64_t kStreamedRows = 96;
/// Rows whose logits may exist whole at a time.
constexpr std::int64_t kWholeRows = 16;
/// Tokens whose logits exist at a time: 6 MB for 96 rows, which stay in a large GPU's L2 cache.
constexpr std::int64_t kSpan = 64 * kHeadChunk;

bool is_guided(const HeadRow& row) {
  return row.request.cfg_scale > 0;
}

}  // namespace

void DeviceHead::prepare(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows) {
  hidden_.clear();
  device_rows_.clear();
  const auto add = [&](std::int32_t row) {
    hidden_.push_back(row);
    return static_cast<std::int32_t>(hidden_.size() - 1);
  };
  for (const HeadRow& row : rows) {
    const ScoreRequest& request = row.request;
    const std::int32_t conditional = add(row.row);
    device_rows_.push_back({.row = conditional,
                            .unconditional = is_guided(row) ? add(row.unconditional_row) : -1,
                            .cfg_scale = request.cfg_scale,
                            .temperature = request.temperature,
                            .sampling = static_cast<std::int32_t>(request.sampling),
                            .excluded = request.excluded_token,
                            .position = request.position,
                            .step = request.step,
                            .seed = request.seed});
  }
  index_.reserve(*runtime_, 2 * kStreamedRows * sizeof(std::int32_t), "head rows");
  staging_->upload(index_.data(), std::as_bytes(std::span(hidden_)));
  product_.prepare(head, x, index_.as<std::int32_t>(), std::ssize(hidden_));
}

void DeviceHead::score_streamed(const DeviceMatrix& head, std::span<Score*> scores) {
  const std::int64_t vocab = head.out_features();
  const std::int64_t chunks = (vocab + kHeadChunk - 1) / kHeadChunk;
  const std::int64_t span = std::min(vocab, kSpan);
  const std::int64_t count = std::ssize(device_rows_);
  rows_.reserve(*runtime_, kStreamedRows * sizeof(DeviceHeadRow), "head rows");
  staging_->upload(rows_.data(), std::as_bytes(std::span(device_rows_)));
  logits_.reserve(*runtime_, static_cast<std::size_t>(std::ssize(hidden_) * span) * sizeof(float),
                  "head logits");
  partials_.reserve(*runtime_, static_cast<std::size_t>(count * chunks) * sizeof(HeadPartial),
                    "head statistics");
  scores_.reserve(*runtime_, kStreamedRows * sizeof(DeviceScore), "scores");
  host_scores_.reserve(*runtime_, kStreamedRows * sizeof(DeviceScore), "scores");
  for (std::int64_t first = 0; first < vocab; first += span) {
    const std::int64_t tokens = std::min(span, vocab - first);
    product_.multiply(head, first, tokens, logits_.as<float>(), span, false);
    run_head_reduce(runtime_->stream(), {.logits = logits_.as<float>(),
                                         .stride = span,
                                         .first = first,
                                         .count = tokens,
                                         .rows = rows_.as<DeviceHeadRow>(),
                                         .row_count = count,
                                         .partials = partials_.as<HeadPartial>(),
                                         .chunks = chunks});
  }
  run_head_merge(runtime_->stream(), {.partials = partials_.as<HeadPartial>(),
                                      .rows = rows_.as<DeviceHeadRow>(),
                                      .row_count = count,
                                      .chunks = chunks,
                                      .scores = scores_.as<DeviceScore>()});
  runtime_->copy_to_host(host_scores_.data(), scores_.data(),
                         static_cast<std::size_t>(count) * sizeof(DeviceScore));
  runtime_->synchronize();
  for (std::int64_t i = 0; i < count; ++i) {
    const DeviceScore& found = host_scores_.as<DeviceScore>()[i];
    Score& score = *scores[i];
    score = Score{};
    score.finite = found.finite != 0;
    if (!score.finite || found.token < 0) continue;
    score.token = found.token;
    score.confidence = found.confidence;
    score.filtered_confidence = found.filtered_confidence;
  }
}

const float* DeviceHead::whole_logits(const DeviceMatrix& head, std::int64_t rows) {
  const std::int64_t vocab = head.out_features();
  const std::size_t bytes = static_cast<std::size_t>(rows * vocab) * sizeof(float);
  logits_.reserve(*runtime_, bytes, "head logits");
  host_logits_.reserve(*runtime_, bytes, "head logits");
  product_.multiply(head, 0, vocab, logits_.as<float>(), vocab, false);
  runtime_->copy_to_host(host_logits_.data(), logits_.data(), bytes);
  runtime_->synchronize();
  return host_logits_.as<float>();
}

void DeviceHead::score_whole(const DeviceMatrix& head, std::span<const HeadRow> rows,
                             std::span<Score*> scores) {
  const std::int64_t vocab = head.out_features();
  whole_logits(head, std::ssize(hidden_));
  candidates_.reserve(static_cast<std::size_t>(vocab));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float* const logits = host_logits_.as<float>() + device_rows_[i].row * vocab;
    if (is_guided(rows[i])) {
      const float* unconditional = host_logits_.as<float>() + device_rows_[i].unconditional * vocab;
      const float factor = rows[i].request.cfg_scale + 1.0f;
      for (std::int64_t token = 0; token < vocab; ++token) {
        logits[token] = unconditional[token] + factor * (logits[token] - unconditional[token]);
      }
    }
    *scores[i] = cpu::score_whole_row(*kernels_, rows[i].request,
                                      {logits, static_cast<std::size_t>(vocab)}, candidates_);
  }
}

void DeviceHead::scores(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows,
                        std::span<Score> scores) {
  std::vector<HeadRow> batch;
  std::vector<Score*> batch_scores;
  for (const bool whole : {false, true}) {
    std::int64_t hidden_rows = 0;
    const auto flush = [&] {
      if (batch.empty()) return;
      prepare(head, x, batch);
      whole ? score_whole(head, batch, batch_scores) : score_streamed(head, batch_scores);
      batch.clear();
      batch_scores.clear();
      hidden_rows = 0;
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (cpu::needs_whole_row(rows[i].request) != whole) continue;
      const std::int64_t needed = is_guided(rows[i]) ? 2 : 1;
      if (hidden_rows + needed > (whole ? kWholeRows : kStreamedRows)) flush();
      batch.push_back(rows[i]);
      batch_scores.push_back(&scores[i]);
      hidden_rows += needed;
    }
    flush();
  }
}

void DeviceHead::logits(const DeviceMatrix& head, const float* x, std::int64_t rows,
                        std::span<float> logits) {
  for (std::int64_t first = 0; first < rows; first += kWholeRows) {
    const std::int64_t count = std::min(kWholeRows, rows - first);
    product_.prepare(head, x + first * head.in_features(), nullptr, count);
    std::copy_n(whole_logits(head, count), count * head.out_features(),
                logits.data() + first * head.out_features());
  }
}

}  // namespace fdllm::cuda
