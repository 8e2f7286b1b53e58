#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"
#include "model/forward_plan.h"
#include "model/stored_weights.h"

namespace fdllm {

/// `plan` with the rows that a logit shift needs added to `query`: the plan that really runs.
ForwardPlan with_shifted_rows(ForwardPlan plan, std::int32_t logit_shift);

/// One request's part of a forward.
struct SequenceInput {
  KvSlab* kv = nullptr;
  /// The whole canvas [L]; the plan's query positions index it.
  std::span<const std::int32_t> tokens;
  /// As with_shifted_rows() made it. Must outlive the pass.
  const ForwardPlan* plan = nullptr;
  /// One for each of plan->score; empty for the unconditional half of guidance.
  std::span<const ScoreRequest> scores;
  /// Index of the sequence that is this one's unconditional half, or -1 (see ScoreRequest).
  std::int32_t unconditional = -1;
};

/// A forward in progress: the residual stream [T, D] between two layers. A pass may pause between
/// layers, never between rows, since every row of a layer needs all K/V of that layer.
class ForwardPass {
 public:
  std::int64_t rows() const { return rows_; }
  /// The layer that run_layers() must go on with.
  std::int32_t next_layer() const { return static_cast<std::int32_t>(next_layer_); }

 private:
  friend class Transformer;
  std::vector<SequenceInput> inputs_;
  std::vector<SequenceRows> sequences_;
  std::vector<HeadRow> head_rows_;         ///< row: an index into scored_rows_
  std::vector<std::int32_t> scored_rows_;  ///< batch rows whose last hidden state is wanted
  std::vector<SequenceRows> scored_sequences_;
  std::vector<std::vector<std::int32_t>> scored_positions_;
  std::unique_ptr<Buffer> hidden_;         ///< x [T, D]
  std::unique_ptr<Buffer> scored_hidden_;  ///< x [scored rows, D], in the last layer
  Buffer* x_ = nullptr;                    ///< the one of them that holds x now
  std::int64_t rows_ = 0;
  std::int64_t next_layer_ = 0;
};

/// Called before the first matrix is packed and after each, with bytes as the file stores them.
/// What it throws ends the packing.
using PackCallback = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

/// The one forward of all families, cache policies and back ends: a pre-norm transformer with
/// bidirectional attention, RoPE, SwiGLU and grouped queries.
class Transformer {
 public:
  /// Packs the weights into `backend`, which must outlive this. `tensors` may be released after,
  /// unless reads_checkpoint().
  Transformer(Backend& backend, ModelConfig config, const ModelTensors& tensors,
              const PackCallback& on_packed = {});
  ~Transformer();

  const ModelConfig& config() const { return config_; }
  /// Packed weights, in bytes.
  std::size_t weight_bytes() const { return weight_bytes_; }
  /// What packing changed.
  const ConversionSums& conversions() const { return conversions_; }
  /// The token embeddings are read where the checkpoint has them: of a large vocabulary few rows
  /// are ever used, and the memory of a mapped file's pages can be taken back.
  bool reads_checkpoint() const { return embedding_copy_.empty(); }
  /// Bytes of the copy of the token embeddings; 0 where they are read in place.
  static std::size_t copied_bytes(const ModelConfig& config, const ModelTensors& tensors);
  /// What the constructor will pack, without doing so.
  static std::size_t packed_bytes(const Backend& backend, const ModelConfig& config);
  /// Activation buffers of a forward of `rows` rows.
  static std::size_t buffer_bytes(const Backend& backend, const ModelConfig& config,
                                  std::int64_t rows);

  KvShape kv_shape(std::int64_t length) const;
  /// Rows that its buffers hold by now: the most of a forward so far.
  std::int64_t buffer_rows() const { return buffer_rows_; }
  /// Gives the buffers back; the next forward makes them anew. No pass may be under way.
  void release_buffers();

  /// Embeds the rows of all sequences: one ragged batch, no padding.
  void start(ForwardPass& pass, std::span<const SequenceInput> sequences);
  /// Runs the layers of `layers`, which must continue where the pass stands. In the last layer only
  /// the rows that are scored go beyond the K/V store: nothing else reads the others.
  void run_layers(ForwardPass& pass, Range layers);
  /// After the last layer: final norm and head of the scored rows; scores in the order of the
  /// sequences and, within one, of its plan's score list.
  void score(ForwardPass& pass, std::span<Score> scores);
  /// The logits [scored rows, V] instead: for checks only.
  std::vector<float> logits(ForwardPass& pass);

  /// start, all layers, score.
  void forward(ForwardPass& pass, std::span<const SequenceInput> sequences,
               std::span<Score> scores);

 private:
  struct Layer;
  void ensure_rope(std::int64_t positions);
  Buffer& workspace(std::unique_ptr<Buffer>& buffer, std::int64_t elements);
  void select_scored_rows(ForwardPass& pass) const;
  std::span<const SequenceRows> keep_scored_rows(ForwardPass& pass);

  Backend& backend_;
  ModelConfig config_;
  AttentionShape shape_;
  std::vector<Layer> layers_;
  std::vector<std::byte> embedding_copy_;
  std::unique_ptr<EmbeddingTable> embedding_;
  std::unique_ptr<Buffer> final_norm_;
  std::unique_ptr<Matrix> head_;
  std::unique_ptr<Buffer> cos_, sin_;
  std::int64_t rope_positions_ = 0;
  std::int64_t buffer_rows_ = 0;
  std::size_t weight_bytes_ = 0;
  ConversionSums conversions_;
  std::unique_ptr<Buffer> normed_, qkv_, scored_qkv_, attended_, gate_up_, ffn_;
};

}  // namespace fdllm
