#include "model/transformer.h"

#include <algorithm>
#include <cmath>

#include "backend/logits_backend.h"
#include "base/check.h"
#include "quant/row.h"

namespace fdllm {
namespace {

/// Token embeddings up to this size are copied, so that a checkpoint's files may go away once it is
/// loaded. Those of a model of 8 billion parameters (1 GB) would be a fifth of its int4 weights.
constexpr std::size_t kLargestCopy = std::size_t{256} << 20;

std::vector<float> to_floats(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  decode_row(tensor.dtype, tensor.data, values);
  return values;
}

/// Index of `position` in the ascending list, or -1.
std::int64_t index_of(const std::vector<std::int32_t>& ascending, std::int32_t position) {
  const auto found = std::lower_bound(ascending.begin(), ascending.end(), position);
  if (found == ascending.end() || *found != position) return -1;
  return found - ascending.begin();
}

/// scored_rows is 0, 1, ..., rows - 1.
bool scores_every_row(const std::vector<std::int32_t>& scored_rows, std::int64_t rows) {
  if (static_cast<std::int64_t>(scored_rows.size()) != rows) return false;
  for (std::int64_t i = 0; i < rows; ++i) {
    if (scored_rows[i] != i) return false;
  }
  return true;
}

}  // namespace

ForwardPlan with_shifted_rows(ForwardPlan plan, std::int32_t logit_shift) {
  if (logit_shift == 0) return plan;
  std::vector<std::int32_t> missing;
  for (const std::int32_t position : plan.score) {
    const std::int32_t row = std::max(position - logit_shift, 0);
    if (index_of(plan.query, row) < 0) missing.push_back(row);
  }
  if (missing.empty()) return plan;
  plan.query.insert(plan.query.end(), missing.begin(), missing.end());
  std::sort(plan.query.begin(), plan.query.end());
  plan.query.erase(std::unique(plan.query.begin(), plan.query.end()), plan.query.end());
  return plan;
}

struct Transformer::Layer {
  std::unique_ptr<Buffer> attention_norm, ffn_norm;
  std::unique_ptr<Buffer> q_norm, k_norm;  // where the family has them
  std::unique_ptr<Matrix> qkv, attention_out, gate_up, down;
};

Transformer::Transformer(Backend& backend, ModelConfig config, const ModelTensors& tensors,
                         const PackCallback& on_packed)
    : backend_(backend),
      config_(std::move(config)),
      shape_{config_.heads, config_.kv_heads, config_.head_dim} {
  const std::uint64_t all_bytes = stored_bytes(config_, tensors);
  std::uint64_t packed_bytes = 0;
  if (on_packed) on_packed(packed_bytes, all_bytes);
  const auto pack = [&](std::span<const StoredMatrix> parts, MatrixRole role) {
    auto matrix = backend_.pack(parts, role);
    for (const StoredMatrix& part : parts) packed_bytes += part.data.size();
    if (on_packed) on_packed(packed_bytes, all_bytes);
    weight_bytes_ += matrix->bytes();
    conversions_.add(backend_.weight_format(role), matrix->conversions());
    return matrix;
  };
  const auto upload = [&](const TensorView& tensor) {
    const std::vector<float> values = to_floats(tensor);
    weight_bytes_ += values.size() * sizeof(float);
    return backend_.upload(values);
  };
  // The file's pages are read ahead while the layer before is packed, and let go after it.
  const auto prefetch = [&](std::size_t layer) {
    if (layer >= tensors.layers.size()) return;
    for (const TensorView* tensor : matrices_of(tensors.layers[layer])) {
      tensors.checkpoint->prefetch(*tensor);
    }
  };
  layers_.reserve(tensors.layers.size());
  prefetch(0);
  for (std::size_t i = 0; i < tensors.layers.size(); ++i) {
    const LayerTensors& source = tensors.layers[i];
    prefetch(i + 1);
    const StoredLayer stored = stored_layer(config_, source);
    Layer& layer = layers_.emplace_back();
    layer.attention_norm = upload(*source.attention_norm);
    layer.qkv = pack(stored.qkv, MatrixRole::kProjection);
    layer.attention_out = pack(stored.attention_out, MatrixRole::kProjection);
    layer.ffn_norm = upload(*source.ffn_norm);
    if (config_.qk_norm) {
      layer.q_norm = upload(*source.q_norm);
      layer.k_norm = upload(*source.k_norm);
    }
    layer.gate_up = pack(stored.gate_up, MatrixRole::kProjection);
    layer.down = pack(stored.down, MatrixRole::kProjection);
    for (const TensorView* tensor : matrices_of(source)) tensors.checkpoint->release(*tensor);
  }
  final_norm_ = upload(*tensors.final_norm);
  const StoredMatrix head = stored_matrix(*tensors.head, config_.vocab);
  head_ = pack(std::span(&head, 1), MatrixRole::kHead);
  if (tensors.head != tensors.embedding) tensors.checkpoint->release(*tensors.head);
  // Last: a back end may copy it to its device if what is packed leaves room.
  StoredMatrix table = stored_matrix(*tensors.embedding, config_.vocab);
  if (copied_bytes(config_, tensors) > 0) {
    embedding_copy_.assign(table.data.begin(), table.data.end());
    table.data = embedding_copy_;
  }
  embedding_ = backend_.embedding(table);
}

Transformer::~Transformer() = default;

std::size_t Transformer::copied_bytes(const ModelConfig& config, const ModelTensors& tensors) {
  const std::size_t bytes = stored_matrix(*tensors.embedding, config.vocab).data.size();
  return bytes <= kLargestCopy ? bytes : 0;
}

std::size_t Transformer::packed_bytes(const Backend& backend, const ModelConfig& config) {
  const std::int64_t query_width = config.heads * config.head_dim;
  const std::int64_t qkv_width = query_width + 2 * config.kv_heads * config.head_dim;
  const auto projection = [&](std::int64_t rows, std::int64_t columns) {
    return backend.packed_bytes(rows, columns, MatrixRole::kProjection);
  };
  const std::int64_t norms = 2 * config.hidden + (config.qk_norm ? 2 * config.head_dim : 0);
  const std::size_t layer =
      projection(qkv_width, config.hidden) + projection(config.hidden, query_width) +
      projection(2 * config.ffn, config.hidden) + projection(config.hidden, config.ffn) +
      static_cast<std::size_t>(norms) * sizeof(float);
  return layer * static_cast<std::size_t>(config.layers) +
         backend.packed_bytes(config.vocab, config.hidden, MatrixRole::kHead) +
         static_cast<std::size_t>(config.hidden) * sizeof(float);
}

std::size_t Transformer::buffer_bytes(const Backend& backend, const ModelConfig& config,
                                      std::int64_t rows) {
  const std::int64_t query_width = config.heads * config.head_dim;
  const std::int64_t qkv_width = query_width + 2 * config.kv_heads * config.head_dim;
  const std::int64_t row = 3 * config.hidden + 2 * qkv_width + query_width + 3 * config.ffn;
  return backend.buffer_bytes(row * rows);
}

KvShape Transformer::kv_shape(std::int64_t length) const {
  return {config_.layers, config_.kv_heads, config_.head_dim, length};
}

void Transformer::ensure_rope(std::int64_t positions) {
  if (positions <= rope_positions_) return;
  // Angles are rounded to f32 where the reference rounds them: inverse frequency, then product.
  const std::int64_t half = config_.head_dim / 2;
  const std::int64_t count = std::max(positions, 2 * rope_positions_);
  std::vector<float> cosines(static_cast<std::size_t>(count * half));
  std::vector<float> sines(cosines.size());
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config_.head_dim);
    const auto frequency = static_cast<float>(1.0 / std::pow(config_.rope_theta, exponent));
    for (std::int64_t position = 0; position < count; ++position) {
      const auto angle = static_cast<double>(static_cast<float>(position) * frequency);
      cosines[position * half + i] = static_cast<float>(std::cos(angle));
      sines[position * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  cos_ = backend_.upload(cosines);
  sin_ = backend_.upload(sines);
  rope_positions_ = count;
}

Buffer& Transformer::workspace(std::unique_ptr<Buffer>& buffer, std::int64_t elements) {
  if (buffer == nullptr || buffer->size() < elements) {
    buffer.reset();
    buffer = backend_.allocate(elements);
  }
  return *buffer;
}

void Transformer::release_buffers() {
  for (auto* buffer : {&normed_, &qkv_, &scored_qkv_, &attended_, &gate_up_, &ffn_}) {
    buffer->reset();
  }
  buffer_rows_ = 0;
}

void Transformer::start(ForwardPass& pass, std::span<const SequenceInput> sequences) {
  pass.inputs_.assign(sequences.begin(), sequences.end());
  pass.sequences_.clear();
  pass.next_layer_ = 0;
  std::vector<std::int32_t> tokens;
  std::int64_t last_position = 0;
  for (const SequenceInput& input : sequences) {
    const auto begin = static_cast<std::int32_t>(tokens.size());
    for (const std::int32_t position : input.plan->query) tokens.push_back(input.tokens[position]);
    pass.sequences_.push_back({input.kv,
                               {begin, static_cast<std::int32_t>(tokens.size())},
                               input.plan->query,
                               input.plan->attend});
    if (!input.plan->query.empty()) {
      last_position = std::max<std::int64_t>(last_position, input.plan->query.back());
    }
  }
  ensure_rope(last_position + 1);
  pass.rows_ = static_cast<std::int64_t>(tokens.size());
  buffer_rows_ = std::max(buffer_rows_, pass.rows_);
  select_scored_rows(pass);
  pass.x_ = &workspace(pass.hidden_, pass.rows_ * config_.hidden);
  backend_.embed(*embedding_, tokens, *pass.x_);
}

void Transformer::select_scored_rows(ForwardPass& pass) const {
  pass.head_rows_.clear();
  pass.scored_rows_.clear();
  pass.scored_sequences_.clear();
  pass.scored_positions_.assign(pass.inputs_.size(), {});
  const auto hidden_position = [&](std::int32_t position) {
    return std::max(position - config_.logit_shift, 0);
  };
  // A sequence and its unconditional half want the hidden states of the same positions.
  std::vector<const ForwardPlan*> wanted(pass.inputs_.size());
  for (std::size_t i = 0; i < pass.inputs_.size(); ++i) {
    const SequenceInput& input = pass.inputs_[i];
    if (input.scores.empty()) continue;
    check(input.scores.size() == input.plan->score.size(), "a score request for each score row");
    wanted[i] = input.plan;
    if (input.unconditional >= 0) wanted[input.unconditional] = input.plan;
  }
  std::vector<std::int32_t> first_scored(pass.inputs_.size());
  for (std::size_t i = 0; i < pass.inputs_.size(); ++i) {
    const auto begin = static_cast<std::int32_t>(pass.scored_rows_.size());
    first_scored[i] = begin;
    if (wanted[i] != nullptr) {
      for (const std::int32_t position : wanted[i]->score) {
        const std::int32_t row_position = hidden_position(position);
        const std::int64_t index = index_of(pass.inputs_[i].plan->query, row_position);
        check(index >= 0, "the row that a score needs is in the query");
        pass.scored_rows_.push_back(pass.sequences_[i].rows.begin +
                                    static_cast<std::int32_t>(index));
        pass.scored_positions_[i].push_back(row_position);
      }
    }
    pass.scored_sequences_.push_back({pass.sequences_[i].kv,
                                      {begin, static_cast<std::int32_t>(pass.scored_rows_.size())},
                                      pass.scored_positions_[i],
                                      pass.sequences_[i].attend});
  }
  for (std::size_t i = 0; i < pass.inputs_.size(); ++i) {
    const SequenceInput& input = pass.inputs_[i];
    for (std::size_t j = 0; j < input.scores.size(); ++j) {
      const auto offset = static_cast<std::int32_t>(j);
      HeadRow row{first_scored[i] + offset, -1, input.scores[j]};
      if (input.unconditional >= 0) {
        row.unconditional_row = first_scored[input.unconditional] + offset;
      }
      pass.head_rows_.push_back(row);
    }
  }
}

/// Shrinks hidden state and projections of the last layer to the scored rows.
std::span<const SequenceRows> Transformer::keep_scored_rows(ForwardPass& pass) {
  const auto rows = static_cast<std::int64_t>(pass.scored_rows_.size());
  backend_.gather(*qkv_, pass.scored_rows_, shape_.row(),
                  workspace(scored_qkv_, rows * shape_.row()));
  Buffer& scored_hidden = workspace(pass.scored_hidden_, rows * config_.hidden);
  backend_.gather(*pass.x_, pass.scored_rows_, config_.hidden, scored_hidden);
  pass.x_ = &scored_hidden;
  pass.rows_ = rows;
  return pass.scored_sequences_;
}

void Transformer::run_layers(ForwardPass& pass, Range layers) {
  check(layers.begin == pass.next_layer_ && layers.end <= config_.layers,
        "layers run in order, each once");
  const std::int64_t query_width = shape_.heads * shape_.head_dim;
  for (std::int32_t index = layers.begin; index < layers.end; ++index) {
    const Layer& layer = layers_[index];
    std::int64_t rows = pass.rows_;
    Buffer& normed = workspace(normed_, rows * config_.hidden);
    Buffer* qkv = &workspace(qkv_, rows * shape_.row());
    backend_.rms_norm(*pass.x_, *layer.attention_norm, config_.rms_eps, rows, normed);
    backend_.linear(*layer.qkv, normed, rows, *qkv);
    if (config_.qk_norm) {
      backend_.head_norm(*qkv, shape_, {layer.q_norm.get(), layer.k_norm.get(), config_.rms_eps},
                         rows);
    }
    backend_.rope_store(*qkv, *cos_, *sin_, {shape_, pass.sequences_, index});

    std::span<const SequenceRows> sequences = pass.sequences_;
    if (index + 1 == config_.layers && !scores_every_row(pass.scored_rows_, rows)) {
      sequences = keep_scored_rows(pass);
      rows = pass.rows_;
      qkv = scored_qkv_.get();
      if (rows == 0) continue;
    }
    Buffer& attended = workspace(attended_, rows * query_width);
    backend_.attention(*qkv, {shape_, sequences, index}, attended);
    backend_.linear_add(*layer.attention_out, attended, rows, *pass.x_);

    Buffer& gate_up = workspace(gate_up_, rows * 2 * config_.ffn);
    Buffer& ffn = workspace(ffn_, rows * config_.ffn);
    backend_.rms_norm(*pass.x_, *layer.ffn_norm, config_.rms_eps, rows, normed);
    backend_.linear(*layer.gate_up, normed, rows, gate_up);
    backend_.swiglu(gate_up, rows, config_.ffn, ffn);
    backend_.linear_add(*layer.down, ffn, rows, *pass.x_);
  }
  pass.next_layer_ = layers.end;
  if (layers.end < config_.layers || pass.head_rows_.empty()) backend_.finish();
}

void Transformer::score(ForwardPass& pass, std::span<Score> scores) {
  check(pass.next_layer_ == config_.layers, "scores come after the last layer");
  check(scores.size() == pass.head_rows_.size(), "a score for each score row");
  if (scores.empty()) return;
  Buffer& normed = workspace(normed_, pass.rows_ * config_.hidden);
  backend_.rms_norm(*pass.x_, *final_norm_, config_.rms_eps, pass.rows_, normed);
  backend_.head_scores(*head_, normed, pass.head_rows_, scores);
}

std::vector<float> Transformer::logits(ForwardPass& pass) {
  check(pass.next_layer_ == config_.layers, "logits come after the last layer");
  Buffer& normed = workspace(normed_, pass.rows_ * config_.hidden);
  backend_.rms_norm(*pass.x_, *final_norm_, config_.rms_eps, pass.rows_, normed);
  std::vector<float> values(static_cast<std::size_t>(pass.rows_ * config_.vocab));
  LogitsBackend::of(backend_).head_logits(*head_, normed, pass.rows_, values);
  return values;
}

void Transformer::forward(ForwardPass& pass, std::span<const SequenceInput> sequences,
                          std::span<Score> scores) {
  start(pass, sequences);
  run_layers(pass, {0, static_cast<std::int32_t>(config_.layers)});
  score(pass, scores);
}

}  // namespace fdllm
