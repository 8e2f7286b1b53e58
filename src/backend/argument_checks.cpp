#include "backend/argument_checks.h"

#include <algorithm>

#include "base/check.h"

namespace fdllm {
namespace {

void check_sequence(const SequenceRows& sequence, const LayerRows& of) {
  check(sequence.rows.begin >= 0 && sequence.rows.begin <= sequence.rows.end, "rows of a sequence");
  check(sequence.kv != nullptr, "a sequence without K/V");
  const KvShape& kv = sequence.kv->shape();
  check(kv.kv_heads == of.shape.kv_heads && kv.head_dim == of.shape.head_dim && of.layer >= 0 &&
            of.layer < kv.layers,
        "K/V of another shape");
  check(std::ssize(sequence.positions) == sequence.rows.size(), "rows without positions");
  for (const std::int32_t position : sequence.positions) {
    check(position >= 0 && position < kv.length, "a position outside its K/V");
  }
  for (const Range& range : sequence.attend) {
    check(range.begin >= 0 && range.begin <= range.end && range.end <= kv.length,
          "attended rows outside their K/V");
  }
}

void check_layer_rows(const Buffer& qkv, const LayerRows& rows) {
  const AttentionShape& shape = rows.shape;
  check(shape.kv_heads > 0 && shape.heads > 0 && shape.heads % shape.kv_heads == 0 &&
            shape.head_dim > 0 && shape.head_dim % 2 == 0,
        "attention geometry");
  for (const SequenceRows& sequence : rows.sequences) {
    check_sequence(sequence, rows);
    check_size(qkv, sequence.rows.end, shape.row());
  }
}

}  // namespace

void check_size(const Buffer& buffer, std::int64_t rows, std::int64_t columns) {
  check(rows >= 0 && columns > 0 && rows <= buffer.size() / columns, "a buffer too small");
}

void check_kv_shape(const KvShape& shape, std::int64_t most_head_dim) {
  if (shape.head_dim > most_head_dim) {
    fail(ErrorCode::kUnsupported, "head_dim: expected at most {}, found {}", most_head_dim,
         shape.head_dim);
  }
  check(shape.layers > 0 && shape.kv_heads > 0 && shape.length > 0 && shape.head_dim > 0 &&
            shape.head_dim % 2 == 0,
        "shape of K/V");
}

void check_download(const Buffer& buffer, std::span<const float> values) {
  check(std::ssize(values) <= buffer.size(), "a buffer too small");
}

void check_read_kv(const KvShape& shape, std::int64_t layer,
                   std::span<const std::int32_t> positions, std::span<const float> k,
                   std::span<const float> v) {
  check(layer >= 0 && layer < shape.layers, "a layer outside its K/V");
  check(std::ssize(k) == std::ssize(positions) * shape.kv_heads * shape.head_dim &&
            k.size() == v.size(),
        "a buffer of another size than the K/V rows");
  for (const std::int32_t position : positions) {
    check(position >= 0 && position < shape.length, "a position outside its K/V");
  }
}

void check_tokens(std::span<const std::int32_t> tokens, std::int64_t table_rows) {
  for (const std::int32_t token : tokens) {
    check(token >= 0 && token < table_rows, "a token outside the embedding table");
  }
}

void check_product(const Matrix& weight, const Buffer& x, std::int64_t rows, const Buffer& y) {
  check_size(x, rows, weight.in_features());
  check_size(y, rows, weight.out_features());
}

void check_head_norm(const Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                     std::int64_t rows) {
  check_size(qkv, rows, shape.row());
  check(norm.q_weight->size() == shape.head_dim && norm.k_weight->size() == shape.head_dim,
        "weights of the norms of heads");
}

void check_rope(const Buffer& qkv, const Buffer& cos, const Buffer& sin, const LayerRows& rows) {
  check_layer_rows(qkv, rows);
  for (const SequenceRows& sequence : rows.sequences) {
    if (sequence.positions.empty()) continue;
    const std::int64_t last = *std::ranges::max_element(sequence.positions);
    check_size(cos, last + 1, rows.shape.head_dim / 2);
    check_size(sin, last + 1, rows.shape.head_dim / 2);
  }
}

void check_attention(const Buffer& qkv, const LayerRows& rows, const Buffer& out) {
  check_layer_rows(qkv, rows);
  for (const SequenceRows& sequence : rows.sequences) {
    check_size(out, sequence.rows.end, rows.shape.heads * rows.shape.head_dim);
    const bool attends =
        std::ranges::any_of(sequence.attend, [](const Range& range) { return range.size() > 0; });
    check(attends || sequence.rows.size() == 0, "a sequence that attends nothing");
  }
}

void check_gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
                  const Buffer& out) {
  check_size(out, std::ssize(rows), columns);
  for (const std::int32_t row : rows) {
    check(row >= 0, "a negative row");
    check_size(x, std::int64_t{row} + 1, columns);
  }
}

std::int64_t check_slices(std::span<const ColumnSlice> slices, std::int64_t rows,
                          const Buffer& out) {
  std::int64_t columns = 0;
  for (const ColumnSlice& slice : slices) {
    check(slice.begin >= 0 && slice.begin < slice.end && slice.end <= slice.columns,
          "columns of a slice");
    check_size(*slice.from, rows, slice.columns);
    columns += slice.end - slice.begin;
  }
  check_size(out, rows, columns);
  return columns;
}

void check_head_rows(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                     std::span<const Score> scores) {
  check(rows.size() == scores.size(), "as many scores as rows");
  for (const HeadRow& row : rows) {
    check(row.row >= 0, "a negative row");
    check_size(x, std::int64_t{row.row} + 1, head.in_features());
    if (row.request.cfg_scale > 0) {
      check(row.unconditional_row >= 0, "a guided row without its unconditional one");
      check_size(x, std::int64_t{row.unconditional_row} + 1, head.in_features());
    }
  }
}

void check_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                  std::span<const float> logits) {
  check_size(x, rows, head.in_features());
  check(std::ssize(logits) == rows * head.out_features(), "size of the logits");
}

}  // namespace fdllm
