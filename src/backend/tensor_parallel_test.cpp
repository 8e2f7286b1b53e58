// Several devices give the bits of one, whatever the number of columns, in every weight format; on
// CPU back ends and, where tests have them, on emulated GPUs with and without access to each
// other's memory.
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "backend/backend.h"
#include "backend/logits_backend.h"
#include "backend/memory_reader.h"
#include "backend/peer_backend.h"
#include "backend/tensor_parallel/column_layout.h"
#include "backend/tensor_parallel/tensor_parallel_backend.h"
#if defined(FDLLM_CUDA_EMULATION)
#include "backend/cuda/emulation/memory.h"
#endif

namespace fdllm {
namespace {

using tensor_parallel::ColumnLayout;
using tensor_parallel::ColumnPart;
using tensor_parallel::ColumnPiece;
using tensor_parallel::ColumnRange;

TEST(ColumnLayouts, EveryColumnOfEveryPartIsSomewhere) {
  for (const int devices : {2, 3, 4, 7}) {
    for (const std::int64_t columns : {1, 2, 5, 16, 33}) {
      const std::vector<ColumnPart> parts = {{columns}, {6, 3}, {2 * columns, 2}};
      const ColumnLayout layout(parts, devices);
      EXPECT_EQ(layout.columns(), 3 * columns + 6);
      std::int64_t next = 0;
      std::vector<std::int64_t> held(static_cast<std::size_t>(devices));
      for (const ColumnPiece& piece : layout.pieces()) {
        EXPECT_EQ(piece.whole.begin, next);
        EXPECT_EQ(piece.local.begin, held[piece.device]);
        EXPECT_EQ(piece.local.size(), piece.whole.size());
        EXPECT_GT(piece.whole.size(), 0);
        next = piece.whole.end;
        held[piece.device] = piece.local.end;
      }
      EXPECT_EQ(next, layout.columns());
      for (int device = 0; device < devices; ++device) {
        EXPECT_EQ(held[device], layout.columns_of(device));
        EXPECT_EQ(ColumnLayout::share(parts[1], device, devices).size() % 3, 0);
      }
    }
  }
  EXPECT_EQ(ColumnLayout({{4}, {4}}, 2), ColumnLayout({{4, 2}, {4, 2}}, 2));
  EXPECT_FALSE(ColumnLayout({{8}}, 2) == ColumnLayout({{4}, {4}}, 2));
  EXPECT_FALSE(ColumnLayout({{6}}, 2) == ColumnLayout({{6, 2}}, 2));
}

/// Which devices, and how.
struct Group {
  std::string kind;  ///< of the registry
  WeightFormat format;
  int devices;
  bool can_read_peers = true;
};

class TensorParallel : public testing::TestWithParam<Group> {
 protected:
  TensorParallel() {
#if defined(FDLLM_CUDA_EMULATION)
    cuda::emulation::set_peer_access(GetParam().can_read_peers);
#endif
    one_ = make_device("");
    std::vector<std::unique_ptr<Backend>> devices;
    for (int i = 0; i < GetParam().devices; ++i) {
      devices.push_back(make_device(is_cpu() ? "" : fmt::format(":{}", i)));
    }
    all_ = make_tensor_parallel_backend(std::move(devices));
  }
#if defined(FDLLM_CUDA_EMULATION)
  ~TensorParallel() override {
    cuda::emulation::set_peer_access(true);
  }
#endif

  bool is_cpu() const {
    return GetParam().kind == "cpu";
  }
  std::unique_ptr<Backend> make_device(const std::string& number) const {
    return make_backend(
        {.device = GetParam().kind + number, .weights = GetParam().format, .threads = 1});
  }

  std::vector<float> normal(std::int64_t count, float deviation = 1.0f) {
    std::normal_distribution<float> distribution(0.0f, deviation);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = distribution(random_);
    return values;
  }
  static StoredMatrix stored(const std::vector<float>& values, std::int64_t columns) {
    return {.data = std::as_bytes(std::span(values)),
            .rows = std::ssize(values) / columns,
            .columns = columns};
  }

  std::mt19937 random_{20261125};
  std::unique_ptr<Backend> one_, all_;
};

/// Weights and norms of a layer, with K/V of a request.
struct LayerShape {
  std::int64_t hidden;
  AttentionShape attention;
  std::int64_t ffn;
};

struct LayerWeights {
  std::vector<float> norm, q, k, v, q_bias, out, gate, up, down, head, cos, sin;
};

/// What a back end makes of a layer, as the transformer runs it, twice over the same rows; the rows
/// that are kept after attention; scores. Every buffer that is left is among the results.
std::vector<std::vector<float>> run_layer(Backend& backend, const LayerShape& shape,
                                          const LayerWeights& weights, const std::vector<float>& x,
                                          std::span<const std::int32_t> kept) {
  const auto matrix = [&](std::initializer_list<const std::vector<float>*> parts,
                          std::int64_t columns, MatrixRole role = MatrixRole::kProjection) {
    std::vector<StoredMatrix> stored;
    for (const std::vector<float>* part : parts) {
      stored.push_back({.data = std::as_bytes(std::span(*part)),
                        .rows = std::ssize(*part) / columns,
                        .columns = columns});
    }
    if (parts.size() == 3) stored[0].bias = std::as_bytes(std::span(weights.q_bias));
    return backend.pack(stored, role);
  };
  const std::int64_t width = shape.attention.heads * shape.attention.head_dim;
  const auto qkv_weight = matrix({&weights.q, &weights.k, &weights.v}, shape.hidden);
  const auto out_weight = matrix({&weights.out}, width);
  const auto gate_up_weight = matrix({&weights.gate, &weights.up}, shape.hidden);
  const auto down_weight = matrix({&weights.down}, shape.ffn);
  const auto head = matrix({&weights.head}, shape.hidden, MatrixRole::kHead);
  const auto norm = backend.upload(weights.norm);
  const auto cos = backend.upload(weights.cos);
  const auto sin = backend.upload(weights.sin);

  const std::int64_t rows = std::ssize(x) / shape.hidden;
  const auto slab =
      backend.allocate_kv({1, shape.attention.kv_heads, shape.attention.head_dim, rows});
  auto hidden = backend.upload(x);
  const auto normed = backend.allocate(rows * shape.hidden);
  auto qkv = backend.allocate(rows * shape.attention.row());
  const auto attended = backend.allocate(rows * width);
  const auto gate_up = backend.allocate(rows * 2 * shape.ffn);
  const auto ffn = backend.allocate(rows * shape.ffn);
  std::vector<std::int32_t> positions;
  for (std::int32_t row = 0; row < rows; ++row) positions.push_back(row);
  const std::vector<Range> attend = {{0, static_cast<std::int32_t>(rows)}};
  const auto after_attention = [&](std::int64_t count) {
    backend.linear_add(*out_weight, *attended, count, *hidden);
    backend.rms_norm(*hidden, *norm, 1e-5f, count, *normed);
    backend.linear(*gate_up_weight, *normed, count, *gate_up);
    backend.swiglu(*gate_up, count, shape.ffn, *ffn);
    backend.linear_add(*down_weight, *ffn, count, *hidden);
  };
  const auto before_attention = [&] {
    backend.rms_norm(*hidden, *norm, 1e-5f, rows, *normed);
    backend.linear(*qkv_weight, *normed, rows, *qkv);
    const SequenceRows sequence{
        slab.get(), {0, static_cast<std::int32_t>(rows)}, positions, attend};
    backend.rope_store(*qkv, *cos, *sin, {shape.attention, {&sequence, 1}, 0});
  };
  before_attention();
  const SequenceRows all{slab.get(), {0, static_cast<std::int32_t>(rows)}, positions, attend};
  backend.attention(*qkv, {shape.attention, {&all, 1}, 0}, *attended);
  after_attention(rows);
  before_attention();
  const auto count = static_cast<std::int32_t>(kept.size());
  auto kept_qkv = backend.allocate(count * shape.attention.row());
  auto kept_hidden = backend.allocate(count * shape.hidden);
  backend.gather(*qkv, kept, shape.attention.row(), *kept_qkv);
  backend.gather(*hidden, kept, shape.hidden, *kept_hidden);
  qkv.swap(kept_qkv);
  hidden.swap(kept_hidden);
  const SequenceRows some{slab.get(), {0, count}, kept, attend};
  backend.attention(*qkv, {shape.attention, {&some, 1}, 0}, *attended);
  after_attention(count);
  backend.rms_norm(*hidden, *norm, 1e-5f, count, *normed);

  std::vector<HeadRow> head_rows;
  for (std::int32_t row = 0; row < count; ++row) {
    ScoreRequest request;
    request.position = row;
    if (row % 2 == 1) request.needs_distribution = true;
    head_rows.push_back({row, -1, request});
  }
  std::vector<Score> scores(head_rows.size());
  backend.head_scores(*head, *normed, head_rows, scores);
  std::vector<std::vector<float>> results;
  for (const Score& score : scores) {
    results.push_back({static_cast<float>(score.token), static_cast<float>(score.confidence),
                       static_cast<float>(score.margin), static_cast<float>(score.entropy)});
  }
  const auto add_result = [&](const Buffer& buffer, std::int64_t values) {
    results.emplace_back(static_cast<std::size_t>(values));
    MemoryReader::of(backend).download(buffer, results.back());
  };
  add_result(*hidden, count * shape.hidden);
  add_result(*kept_hidden, rows * shape.hidden);
  add_result(*qkv, count * shape.attention.row());
  add_result(*gate_up, count * 2 * shape.ffn);
  results.emplace_back(static_cast<std::size_t>(count * head->out_features()));
  LogitsBackend::of(backend).head_logits(*head, *normed, count, results.back());
  std::vector<float> k(
      static_cast<std::size_t>(rows * shape.attention.kv_heads * shape.attention.head_dim));
  std::vector<float> v = k;
  MemoryReader::of(backend).read_kv(*slab, 0, positions, k, v);
  results.push_back(k);
  results.push_back(v);
  return results;
}

TEST_P(TensorParallel, ALayerHasTheBitsOfOneDevice) {
  const std::int64_t devices = GetParam().devices;
  const LayerShape shapes[] = {{33, {2 * devices, devices, 6}, 45},
                               {1, {devices, devices, 2}, 1},
                               {70, {6 * devices, 2 * devices, 10}, 2050}};
  for (const LayerShape& shape : shapes) {
    const AttentionShape& attention = shape.attention;
    const std::int64_t width = attention.heads * attention.head_dim;
    const std::int64_t kv_width = attention.kv_heads * attention.head_dim;
    const std::int64_t rows = 9;
    LayerWeights weights;
    weights.norm = normal(shape.hidden);
    weights.q = normal(width * shape.hidden, 0.2f);
    weights.q_bias = normal(width);
    weights.k = normal(kv_width * shape.hidden, 0.2f);
    weights.v = normal(kv_width * shape.hidden, 0.2f);
    weights.out = normal(shape.hidden * width, 0.2f);
    weights.gate = normal(shape.ffn * shape.hidden, 0.2f);
    weights.up = normal(shape.ffn * shape.hidden, 0.2f);
    weights.down = normal(shape.hidden * shape.ffn, 0.05f);
    weights.head = normal(61 * shape.hidden);
    weights.cos = normal(rows * attention.head_dim / 2);
    weights.sin = normal(rows * attention.head_dim / 2);
    const std::vector<float> x = normal(rows * shape.hidden);
    const std::vector<std::int32_t> kept = {1, 4, 5, 8};
    const auto expected = run_layer(*one_, shape, weights, x, kept);
    for (int round = 0; round < 3; ++round) {  // the second and third as graphs, on a device
      EXPECT_EQ(run_layer(*all_, shape, weights, x, kept), expected)
          << "hidden " << shape.hidden << ", round " << round;
    }
  }
}

// A bf16 product falls into parts by its matrix's shape: each device must see that of the whole
// one.
TEST_P(TensorParallel, LongSumsHaveTheBitsOfOneDevice) {
  const std::int64_t in = 4100, out = 130, rows = 3;
  const std::vector<float> w = normal(out * in, 0.02f);
  const std::vector<float> x = normal(rows * in);
  std::vector<std::vector<float>> results;
  for (Backend* const backend : {one_.get(), all_.get()}) {
    const StoredMatrix matrix = stored(w, in);
    const auto packed = backend->pack({&matrix, 1}, MatrixRole::kProjection);
    const auto y = backend->allocate(rows * out);
    backend->linear(*packed, *backend->upload(x), rows, *y);
    MemoryReader::of(*backend).download(*y,
                                        results.emplace_back(static_cast<std::size_t>(rows * out)));
  }
  EXPECT_EQ(results[0], results[1]);
}

// A share that others read while a row is made whole is written to right after, without another
// barrier in between; and it is freed then.
TEST_P(TensorParallel, WritersWaitForReaders) {
  const std::int64_t columns = 40, rows = 4;
  const std::vector<float> w = normal(columns * columns);
  const StoredMatrix matrix = stored(w, columns);
  const std::vector<float> first = normal(rows * columns);
  const std::vector<float> second = normal(rows * columns);
  const std::vector<float> ones(static_cast<std::size_t>(columns), 1.0f);
  std::vector<std::vector<float>> results[2];
  for (int i = 0; i < 2; ++i) {
    Backend& backend = i == 0 ? *one_ : *all_;
    const auto packed = backend.pack({&matrix, 1}, MatrixRole::kProjection);
    const auto a = backend.upload(first);
    const auto b = backend.upload(second);
    const auto weight = backend.upload(ones);
    auto y = backend.allocate(rows * columns);
    const auto normed = backend.allocate(rows * columns);
    const auto last = backend.allocate(rows * columns);
    const auto from_first = backend.allocate(rows * columns);
    const auto from_last = backend.allocate(rows * columns);
    for (int round = 0; round < 2; ++round) {  // in the second, all scratch memory is there
      if (y == nullptr) y = backend.allocate(rows * columns);
      backend.linear(*packed, *a, rows, *y);
      backend.rms_norm(*y, *weight, 1e-5f, rows, *normed);
      backend.linear(*packed, *b, rows, *y);
      backend.rms_norm(*y, *weight, 1e-5f, rows, *last);
      y.reset();
      // Of what every device read.
      backend.linear(*packed, *normed, rows, *from_first);
      backend.linear(*packed, *last, rows, *from_last);
      for (const Buffer* buffer : {from_first.get(), from_last.get()}) {
        MemoryReader::of(backend).download(
            *buffer, results[i].emplace_back(static_cast<std::size_t>(rows * columns)));
      }
    }
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST_P(TensorParallel, ADeviceJoinsColumns) {
  const std::int64_t columns = 10, rows = 3;
  const std::vector<float> a = normal(rows * columns);
  const std::vector<float> b = normal(rows * columns);
  auto& device = dynamic_cast<PeerBackend&>(*one_);
  const auto from_a = device.upload(a);
  const auto from_b = device.upload(b);
  const auto out = device.allocate(rows * 7);
  const ColumnSlice slices[] = {{from_a.get(), columns, 3, 8}, {from_b.get(), columns, 0, 2}};
  device.join_columns(slices, rows, *out);
  std::vector<float> joined(static_cast<std::size_t>(rows * 7));
  MemoryReader::of(device).download(*out, joined);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < 7; ++i) {
      const float expected = i < 5 ? a[row * columns + 3 + i] : b[row * columns + i - 5];
      EXPECT_EQ(joined[row * 7 + i], expected) << row << " " << i;
    }
  }
  EXPECT_THROW(device.join_columns(slices, rows + 1, *out), Error);
  const ColumnSlice outside[] = {{from_a.get(), columns, 3, 11}};
  EXPECT_THROW(device.join_columns(outside, 1, *out), Error);
}

TEST_P(TensorParallel, RefusesHeadsThatCannotBeDealtOut) {
  const std::int64_t heads = GetParam().devices + 1;
  try {
    all_->kv_bytes({1, heads, 8, 16});
    FAIL() << "K/V of a head and a half";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find(fmt::format("{} devices", GetParam().devices)),
              std::string::npos);
    EXPECT_NE(std::string(error.what()).find(fmt::format("has {}", heads)), std::string::npos);
  }
  EXPECT_THROW(all_->allocate_kv({1, heads, 8, 16}), Error);
}

TEST_P(TensorParallel, EstimatesAreOfAllDevices) {
  const KvShape shape{3, 2 * GetParam().devices, 16, 50};
  EXPECT_EQ(all_->allocate_kv(shape)->bytes(), all_->kv_bytes(shape));
  const std::vector<float> w = normal(std::int64_t{64} * GetParam().devices * 32);
  const StoredMatrix matrix = stored(w, 32);
  for (const MatrixRole role : {MatrixRole::kProjection, MatrixRole::kHead}) {
    const auto packed = all_->pack({&matrix, 1}, role);
    EXPECT_EQ(packed->bytes(), all_->packed_bytes(matrix.rows, 32, role));
    EXPECT_EQ(packed->bytes(), one_->packed_bytes(matrix.rows, 32, role) *
                                   (role == MatrixRole::kHead ? GetParam().devices : 1));
    ASSERT_EQ(packed->conversions().size(), 1u);
    EXPECT_EQ(packed->conversions()[0].weights, std::ssize(w));
  }
}

std::vector<Group> groups() {
  std::vector<Group> groups;
  for (int format = 0; format <= static_cast<int>(WeightFormat::kInt4Group32); ++format) {
    groups.push_back({"cpu", static_cast<WeightFormat>(format), 2 + format % 3});
  }
#if defined(FDLLM_CUDA_EMULATION)
  for (int format = 0; format <= static_cast<int>(WeightFormat::kInt4Group32); ++format) {
    groups.push_back({"cuda-emulated", static_cast<WeightFormat>(format), 2 + format % 3});
  }
  groups.push_back({"cuda-emulated", WeightFormat::kBF16, 2, false});
#endif
  return groups;
}

std::string name_of_group(const testing::TestParamInfo<Group>& info) {
  const Group& group = info.param;
  const char* formats[] = {"f32", "bf16", "int8", "int8_g128", "int8_g32", "int4", "int4_g32"};
  return fmt::format("{}_x{}_{}{}", group.kind == "cpu" ? "cpu" : "emulated", group.devices,
                     formats[static_cast<std::size_t>(group.format)],
                     group.can_read_peers ? "" : "_by_copies");
}

INSTANTIATE_TEST_SUITE_P(Groups, TensorParallel, testing::ValuesIn(groups()), name_of_group);

#if defined(FDLLM_CUDA_EMULATION)

TEST(Devices, AreNamedByNumbers) {
  const auto message_of = [](const std::string& device) -> std::string {
    try {
      return make_backend({.device = device, .threads = 1})->description();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << device;
      return error.what();
    }
  };
  EXPECT_EQ(message_of("cuda-emulated:2"), "cuda-emulated:2 emulated");
  EXPECT_EQ(message_of("cuda-emulated:3,1"),
            "cuda-emulated:3 emulated + cuda-emulated:1 emulated, tensor parallel");
  const std::pair<const char*, const char*> refused[] = {
      {"cuda-emulated:0,0", "names device 0 twice"},
      {"cuda-emulated:0,1,2,3,4", "0 to 3, found 4"},
      {"cuda-emulated:4", "0 to 3, found 4"},
      {"cuda-emulated:", "numbers with commas"},
      {"cuda-emulated:0,", "numbers with commas"},
      {"cuda-emulated:,0", "numbers with commas"},
      {"cuda-emulated:-1", "numbers with commas"},
      {"cuda-emulated:0 1", "numbers with commas"},
      {"cuda-emulated:99999999999", "numbers with commas"},
      {"cuda-emulated:0:1", "numbers with commas"},
      {"cpu:0", "one device without a number"},
      {"abacus:0", "expected one of"},
      {":0", "expected one of"}};
  for (const auto& [device, words] : refused) {
    EXPECT_NE(message_of(device).find(words), std::string::npos)
        << device << ": " << message_of(device);
  }
}

#endif

}  // namespace
}  // namespace fdllm
