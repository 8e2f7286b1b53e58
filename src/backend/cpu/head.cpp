#include "backend/cpu/head.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/check.h"

namespace fdllm::cpu {
namespace {

/// Panels of a chunk of the vocabulary: 256 logits a row.
constexpr std::int64_t kChunkPanels = 16;
constexpr std::int64_t kChunk = kChunkPanels * kPanelColumns;
/// Hidden rows whose logits one streamed pass holds at a time.
constexpr std::int64_t kStreamedRows = 96;
/// Rows whose logits may exist whole at a time.
constexpr std::int64_t kWholeRows = 16;

PanelRange panels_of(const PackedMatrix& head, std::int64_t chunk) {
  return {chunk * kChunkPanels, std::min((chunk + 1) * kChunkPanels, head.panels())};
}

bool is_guided(const HeadRow& row) {
  return row.request.cfg_scale > 0;
}

/// l = unconditional + (scale + 1) (conditional - unconditional), in place of the conditional ones.
void guide(float scale, std::int64_t n, const float* unconditional, float* logits) {
  const float factor = scale + 1.0f;
  for (std::int64_t i = 0; i < n; ++i) {
    logits[i] = unconditional[i] + factor * (logits[i] - unconditional[i]);
  }
}

}  // namespace

void Head::gather(const PackedMatrix& head, const float* x, std::span<const HeadRow> rows) {
  hidden_.clear();
  sources_.clear();
  const auto add = [&](std::int32_t row) {
    hidden_.push_back(x + row * head.in_features());
    return static_cast<std::int32_t>(hidden_.size() - 1);
  };
  for (const HeadRow& row : rows) {
    const std::int32_t conditional = add(row.row);
    sources_.push_back({conditional, is_guided(row) ? add(row.unconditional_row) : -1});
  }
  packed_.resize(head.kernels(), std::ssize(hidden_), head.in_features());
}

Head::Partial Head::reduced(const KernelTable& kernels, const ScoreRequest& request,
                            std::span<float> logits, std::int64_t first) noexcept {
  float* const row = logits.data();
  const std::int64_t count = std::ssize(logits);
  Partial partial;
  LogitStatistics statistics = kernels.logit_statistics(row, count);
  partial.finite = statistics.finite;
  if (!partial.finite) return partial;
  const TokenExceptions exceptions = exceptions_in(request.exceptions, first, first + count);
  const auto take = [&](TokenRule rule) {
    if (take_weight(exceptions, rule, first, row)) {
      statistics = kernels.logit_statistics(row, count);
    }
  };
  take(TokenRule::kRemoved);
  if (is_sampled(request)) {
    offer_sampled(request, {logits, first}, partial.pick);
  } else {
    offer_greedy(kernels, exceptions, {logits, first}, statistics, partial.pick);
  }
  take(TokenRule::kUnsure);
  partial.maximum = statistics.maximum;
  partial.sum = kernels.exp_sum(row, count, partial.maximum, 1.0f);
  const double temperature = distribution_temperature(request);
  partial.filtered_sum =
      temperature == 1.0
          ? partial.sum
          : kernels.exp_sum(row, count, partial.maximum, static_cast<float>(1.0 / temperature));
  return partial;
}

Score Head::merged(const ScoreRequest& request, std::span<const Partial> partials) noexcept {
  Score score;
  score.finite =
      std::all_of(partials.begin(), partials.end(), [](const Partial& p) { return p.finite; });
  if (!score.finite) return score;
  const double temperature = distribution_temperature(request);
  double maximum = partials.front().maximum;
  for (const Partial& p : partials) maximum = std::max(maximum, static_cast<double>(p.maximum));
  double sum = 0;
  double filtered_sum = 0;
  Pick pick;
  for (const Partial& p : partials) {
    const double distance = static_cast<double>(p.maximum) - maximum;
    sum += p.sum * std::exp(distance);
    filtered_sum += p.filtered_sum * std::exp(distance / temperature);
    if (p.pick.token >= 0) pick.offer(p.pick.value, p.pick.token, p.pick.logit);
  }
  if (pick.token < 0) return score;  // a vocabulary of tokens that may not be picked
  score.token = static_cast<std::int32_t>(pick.token);
  if (rule_of(request.exceptions, pick.token) == TokenRule::kUnsure) return score;
  const double distance = static_cast<double>(pick.logit) - maximum;
  score.confidence = std::exp(distance) / sum;
  score.filtered_confidence = std::exp(distance / temperature) / filtered_sum;
  return score;
}

void Head::score_streamed(const Workers& workers, const PackedMatrix& head,
                          std::span<const HeadRow> rows, std::span<Score*> scores) {
  const std::int64_t vocab = head.out_features();
  const std::int64_t chunks = (vocab + kChunk - 1) / kChunk;
  const std::int64_t hidden_rows = packed_.rows();
  const int parts = static_cast<int>(std::min<std::int64_t>(
      chunks,
      parts_for(workers.pool, double(hidden_rows) * double(head.in_features()) * double(vocab))));
  partials_.assign(static_cast<std::size_t>(std::ssize(rows) * chunks), Partial{});
  if (std::ssize(thread_logits_) < parts) thread_logits_.resize(static_cast<std::size_t>(parts));
  for (HostMemory& memory : thread_logits_) {
    memory.reserve(static_cast<std::size_t>(hidden_rows * kChunk) * sizeof(float), "head logits");
  }

  const auto pack = [&](std::int64_t item, int) noexcept {
    packed_.pack(item, [&](std::int64_t row) { return hidden_[row]; });
  };
  const auto score_chunk = [&](std::int64_t chunk, int part) noexcept {
    auto* logits = thread_logits_[part].as<float>();
    const std::int64_t first = chunk * kChunk;
    const std::int64_t count = std::min(kChunk, vocab - first);
    packed_.multiply(head, panels_of(head, chunk), logits, kChunk, false);
    for (std::int64_t i = 0; i < std::ssize(rows); ++i) {
      const ScoreRequest& request = rows[i].request;
      const Source source = sources_[i];
      float* row = logits + source.row * kChunk;
      if (source.unconditional >= 0) {
        guide(request.cfg_scale, count, logits + source.unconditional * kChunk, row);
      }
      partials_[i * chunks + chunk] =
          reduced(workers.kernels, request, {row, static_cast<std::size_t>(count)}, first);
    }
  };
  workers.pool.run(parts, {Phase(packed_.pack_items(), pack), Phase(chunks, score_chunk)});

  for (std::int64_t i = 0; i < std::ssize(rows); ++i) {
    *scores[i] =
        merged(rows[i].request, {partials_.data() + i * chunks, static_cast<std::size_t>(chunks)});
  }
}

void Head::score_whole(const Workers& workers, const PackedMatrix& head,
                       std::span<const HeadRow> rows, std::span<Score*> scores) {
  const std::int64_t vocab = head.out_features();
  const std::int64_t chunks = (head.panels() + kChunkPanels - 1) / kChunkPanels;
  whole_logits_.reserve(static_cast<std::size_t>(packed_.rows() * vocab) * sizeof(float),
                        "head logits");
  auto* logits = whole_logits_.as<float>();
  const int parts = workers.pool.size();
  if (std::ssize(candidates_) < parts) candidates_.resize(static_cast<std::size_t>(parts));
  try {
    for (Candidates& candidates : candidates_) candidates.reserve(static_cast<std::size_t>(vocab));
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::kOutOfMemory, "head: could not allocate the candidates of top_p and top_k");
  }
  const auto pack = [&](std::int64_t item, int) noexcept {
    packed_.pack(item, [&](std::int64_t row) { return hidden_[row]; });
  };
  const auto multiply = [&](std::int64_t chunk, int) noexcept {
    packed_.multiply(head, panels_of(head, chunk), logits + chunk * kChunk, vocab, false);
  };
  const auto score_row = [&](std::int64_t i, int part) noexcept {
    const Source source = sources_[i];
    float* row = logits + source.row * vocab;
    if (source.unconditional >= 0) {
      guide(rows[i].request.cfg_scale, vocab, logits + source.unconditional * vocab, row);
    }
    *scores[i] = score_whole_row(workers.kernels, rows[i].request,
                                 {row, static_cast<std::size_t>(vocab)}, candidates_[part]);
  };
  workers.pool.run(parts, {Phase(packed_.pack_items(), pack), Phase(chunks, multiply),
                           Phase(std::ssize(rows), score_row)});
}

void Head::scores(const Workers& workers, const PackedMatrix& head, const float* x,
                  std::span<const HeadRow> rows, std::span<Score> scores) {
  std::vector<HeadRow> batch;
  std::vector<Score*> batch_scores;
  for (const bool whole : {false, true}) {
    const std::int64_t limit = whole ? kWholeRows : kStreamedRows;
    std::int64_t hidden_rows = 0;
    const auto flush = [&] {
      if (batch.empty()) return;
      gather(head, x, batch);
      whole ? score_whole(workers, head, batch, batch_scores)
            : score_streamed(workers, head, batch, batch_scores);
      batch.clear();
      batch_scores.clear();
      hidden_rows = 0;
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (needs_whole_row(rows[i].request) != whole) continue;
      const std::int64_t needed = is_guided(rows[i]) ? 2 : 1;
      if (hidden_rows + needed > limit) flush();
      batch.push_back(rows[i]);
      batch_scores.push_back(&scores[i]);
      hidden_rows += needed;
    }
    flush();
  }
}

}  // namespace fdllm::cpu
