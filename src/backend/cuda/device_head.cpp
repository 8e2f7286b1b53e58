#include "backend/cuda/device_head.h"

#include <algorithm>

#include "backend/cpu/sampling.h"
#include "backend/cuda/launch_queue.h"

namespace fdllm::cuda {
namespace {

/// Hidden rows whose logits one pass over the vocabulary takes.
constexpr std::int64_t kRowsOfPass = 96;
/// Rows whose logits go to the host at a time.
constexpr std::int64_t kRowsToHost = 16;
/// Tokens whose logits exist at a time: 6 MB for 96 rows, which stay in a large GPU's L2 cache.
constexpr std::int64_t kSpan = 64 * kHeadChunk;

bool is_guided(const HeadRow& row) {
  return row.request.cfg_scale > 0;
}

/// Between two rows of whole logits, in elements: rows begin at multiples of 16 bytes.
std::int64_t whole_stride(std::int64_t vocab) {
  return (vocab + 3) / 4 * 4;
}

const std::uint32_t* rules_in(LaunchQueue& queue, std::span<const std::uint32_t> words) {
  return queue.list<std::uint32_t>(ListUse::kTokenRules, words);
}

std::int64_t chunks_of(std::int64_t vocab) {
  return (vocab + kHeadChunk - 1) / kHeadChunk;
}

}  // namespace

void DeviceHead::add_rules(std::span<const TokenException> exceptions, Batch& batch,
                           DeviceHeadRow& row) {
  if (exceptions.empty()) return;
  const std::int64_t first = exceptions.front().token / kRulesOfWord;
  std::vector<std::uint32_t> words(
      static_cast<std::size_t>(exceptions.back().token / kRulesOfWord - first + 1));
  for (const auto& [token, rule] : exceptions) {
    words[static_cast<std::size_t>(token / kRulesOfWord - first)] |=
        static_cast<std::uint32_t>(rule) << 2 * static_cast<unsigned>(token % kRulesOfWord);
    if (rule == TokenRule::kUnsure) row.has_unsure = 1;
  }
  row.first_rule_word = static_cast<std::int32_t>(first);
  row.rule_words = static_cast<std::uint32_t>(words.size());
  auto& all = batch.token_rules;
  const auto found = std::search(all.begin(), all.end(), words.begin(), words.end());
  row.rules_begin = static_cast<std::int32_t>(found - all.begin());
  if (found == all.end()) all.insert(all.end(), words.begin(), words.end());
}

std::vector<DeviceHead::Batch> DeviceHead::batches_of(std::span<const HeadRow> rows) {
  std::vector<Batch> batches;
  for (const bool is_whole : {false, true}) {
    bool is_open = false;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const HeadRow& row = rows[i];
      const ScoreRequest& request = row.request;
      if (cpu::needs_whole_row(request) != is_whole) continue;
      const std::int64_t needed = is_guided(row) ? 2 : 1;
      if (!is_open || std::ssize(batches.back().hidden) + needed > kRowsOfPass) {
        batches.emplace_back().is_whole = is_whole;
        is_open = true;
      }
      Batch& batch = batches.back();
      const auto add = [&](std::int32_t hidden) {
        batch.hidden.push_back(hidden);
        return static_cast<std::int32_t>(batch.hidden.size() - 1);
      };
      const std::int32_t conditional = add(row.row);
      batch.rows.push_back({.row = conditional,
                            .unconditional = is_guided(row) ? add(row.unconditional_row) : -1,
                            .cfg_scale = request.cfg_scale,
                            .temperature = request.temperature,
                            .top_p = request.top_p,
                            .top_k = request.top_k,
                            .sampling = static_cast<std::int32_t>(request.sampling),
                            .rules_begin = 0,
                            .first_rule_word = 0,
                            .rule_words = 0,
                            .has_unsure = 0,
                            .raw_distribution = request.raw_distribution ? 1 : 0,
                            .position = request.position,
                            .step = request.step,
                            .seed = request.seed});
      add_rules(request.exceptions, batch, batch.rows.back());
      batch.places.push_back(i);
    }
  }
  return batches;
}

void DeviceHead::reserve(std::int64_t vocab, std::span<const Batch> batches) {
  std::int64_t logits = 0;
  std::int64_t partials = 0;
  std::size_t scores = 0;
  for (const Batch& batch : batches) {
    const std::int64_t hidden = bucket_of(std::ssize(batch.hidden));
    const std::int64_t stride = batch.is_whole ? whole_stride(vocab) : std::min(vocab, kSpan);
    logits = std::max(logits, hidden * stride);
    if (!batch.is_whole) partials = std::max(partials, std::ssize(batch.rows) * chunks_of(vocab));
    scores += batch.rows.size();
  }
  logits_.reserve(*runtime_, static_cast<std::size_t>(logits) * sizeof(float), "head logits");
  partials_.reserve(*runtime_, static_cast<std::size_t>(partials) * sizeof(HeadPartial),
                    "head statistics");
  // Room for more than are asked for now: a step's scores become fewer and more again.
  scores = static_cast<std::size_t>(bucket_of(static_cast<std::int64_t>(scores)));
  scores_.reserve(*runtime_, scores * sizeof(DeviceScore), "scores");
  host_scores_.reserve(*runtime_, scores * sizeof(DeviceScore), "scores");
}

void DeviceHead::score_streamed(const DeviceMatrix& head, const Batch& batch, DeviceScore* scores) {
  LaunchQueue& queue = *runtime_->stream();
  const std::int64_t vocab = head.out_features();
  const std::int64_t span = std::min(vocab, kSpan);
  for (std::int64_t first = 0; first < vocab; first += span) {
    const std::int64_t tokens = std::min(span, vocab - first);
    product_.multiply(head, {first, tokens}, logits_.as<float>(), span, false);
    run_head_reduce(&queue, {.logits = logits_.as<float>(),
                             .stride = span,
                             .first = first,
                             .count = tokens,
                             .head_rows = queue.list<DeviceHeadRow>(ListUse::kHeadRows, batch.rows),
                             .token_rules = rules_in(queue, batch.token_rules),
                             .rows = queue.rows(std::ssize(batch.rows)),
                             .partials = partials_.as<HeadPartial>(),
                             .chunks = chunks_of(vocab)});
  }
  run_head_merge(&queue, {.partials = partials_.as<HeadPartial>(),
                          .head_rows = queue.list<DeviceHeadRow>(ListUse::kHeadRows, batch.rows),
                          .token_rules = rules_in(queue, batch.token_rules),
                          .rows = queue.rows(std::ssize(batch.rows)),
                          .chunks = chunks_of(vocab),
                          .scores = scores});
}

void DeviceHead::score_whole(const DeviceMatrix& head, const Batch& batch, DeviceScore* scores) {
  LaunchQueue& queue = *runtime_->stream();
  const std::int64_t vocab = head.out_features();
  product_.multiply(head, {0, vocab}, logits_.as<float>(), whole_stride(vocab), false);
  run_distribution(&queue, {.logits = logits_.as<float>(),
                            .stride = whole_stride(vocab),
                            .vocab = vocab,
                            .head_rows = queue.list<DeviceHeadRow>(ListUse::kHeadRows, batch.rows),
                            .token_rules = rules_in(queue, batch.token_rules),
                            .rows = queue.rows(std::ssize(batch.rows)),
                            .scores = scores});
}

void DeviceHead::scores(const DeviceMatrix& head, const float* x, std::span<const HeadRow> rows,
                        std::span<Score> scores) {
  if (rows.empty()) return;
  const std::vector<Batch> batches = batches_of(rows);
  reserve(head.out_features(), batches);
  auto* found = scores_.as<DeviceScore>();
  for (const Batch& batch : batches) {
    product_.prepare(head, x, batch.hidden);
    batch.is_whole ? score_whole(head, batch, found) : score_streamed(head, batch, found);
    found += batch.rows.size();
  }
  runtime_->copy_to_host(host_scores_.data(), scores_.data(), rows.size() * sizeof(DeviceScore));
  runtime_->synchronize();
  const auto* from = host_scores_.as<DeviceScore>();
  for (const Batch& batch : batches) {
    for (std::size_t i = 0; i < batch.places.size(); ++i, ++from) {
      const ScoreRequest& request = rows[batch.places[i]].request;
      Score& score = scores[batch.places[i]];
      score = Score{};
      score.finite = from->finite != 0;
      if (!score.finite || from->token < 0) continue;
      score.token = from->token;
      score.confidence = from->confidence;
      score.filtered_confidence = from->filtered_confidence;
      if (!request.needs_distribution) continue;
      score.margin = from->margin;
      score.entropy = from->entropy;
    }
  }
}

void DeviceHead::logits(const DeviceMatrix& head, const float* x, std::int64_t rows,
                        std::span<float> logits) {
  const std::int64_t vocab = head.out_features();
  for (std::int64_t first = 0; first < rows; first += kRowsToHost) {
    const std::int64_t count = std::min(kRowsToHost, rows - first);
    const std::size_t bytes = static_cast<std::size_t>(count * vocab) * sizeof(float);
    logits_.reserve(*runtime_, bytes, "head logits");
    host_logits_.reserve(*runtime_, bytes, "head logits");
    product_.prepare(head, x + first * head.in_features(), count);
    product_.multiply(head, {0, vocab}, logits_.as<float>(), vocab, false);
    runtime_->copy_to_host(host_logits_.data(), logits_.data(), bytes);
    runtime_->synchronize();
    std::copy_n(host_logits_.as<float>(), count * vocab, logits.data() + first * vocab);
  }
}

}  // namespace fdllm::cuda
