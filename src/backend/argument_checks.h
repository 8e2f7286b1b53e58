#pragma once
#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "backend/peer_backend.h"

// What every back end checks of an operation's arguments, wherever it keeps them. Each throws
// kInternal unless it says otherwise.
namespace fdllm {

/// `buffer` holds at least rows x columns values.
void check_size(const Buffer& buffer, std::int64_t rows, std::int64_t columns);

/// A K/V slab can be made. Throws kUnsupported where heads are longer than `most_head_dim`.
void check_kv_shape(const KvShape& shape, std::int64_t most_head_dim);
/// Arguments of MemoryReader::download() and read_kv().
void check_download(const Buffer& buffer, std::span<const float> values);
void check_read_kv(const KvShape& shape, std::int64_t layer,
                   std::span<const std::int32_t> positions, std::span<const float> k,
                   std::span<const float> v);

/// Tokens are rows of a table of `table_rows`.
void check_tokens(std::span<const std::int32_t> tokens, std::int64_t table_rows);
/// y = x W^T of `rows` rows.
void check_product(const Matrix& weight, const Buffer& x, std::int64_t rows, const Buffer& y);
/// Arguments of Backend::rope_store() and Backend::attention().
void check_head_norm(const Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                     std::int64_t rows);
void check_rope(const Buffer& qkv, const Buffer& cos, const Buffer& sin, const LayerRows& rows);
void check_attention(const Buffer& qkv, const LayerRows& rows, const Buffer& out);
/// Of Backend::gather().
void check_gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
                  const Buffer& out);
/// Of PeerBackend::join_columns(). Returns the columns of all slices.
std::int64_t check_slices(std::span<const ColumnSlice> slices, std::int64_t rows,
                          const Buffer& out);
/// Of Backend::head_scores() and LogitsBackend::head_logits().
void check_head_rows(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                     std::span<const Score> scores);
void check_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                  std::span<const float> logits);

}  // namespace fdllm
