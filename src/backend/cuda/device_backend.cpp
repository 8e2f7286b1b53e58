#include "backend/cuda/device_backend.h"

#include <algorithm>

#include "backend/argument_checks.h"
#include "backend/cpu/thread_count.h"
#include "backend/cuda/device_attention.h"
#include "backend/cuda/device_embedding.h"
#include "backend/cuda/device_head.h"
#include "backend/cuda/device_matrix.h"
#include "backend/cuda/device_product.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/launch_queue.h"
#include "backend/logits_backend.h"
#include "backend/memory_reader.h"
#include "backend/peer_backend.h"
#include "base/check.h"
#include "base/dtype.h"
#include "base/thread_pool.h"

namespace fdllm::cuda {
namespace {

float* data_of(Buffer& buffer) {
  return static_cast<DeviceBuffer&>(buffer).data();
}
const float* data_of(const Buffer& buffer) {
  return static_cast<const DeviceBuffer&>(buffer).data();
}

class DeviceBackend final : public PeerBackend, public MemoryReader, public LogitsBackend {
 public:
  explicit DeviceBackend(const BackendOptions& options)
      : device_(options.device),
        weights_(options.weights),
        type_(compute_type_of(options.weights)),
        projection_(options.weights),
        pool_(cpu::thread_count(options.threads)),
        runtime_(options.ordinal),
        queue_(runtime_, options.launch_graphs ? LaunchMode::kGraphs : LaunchMode::kDirect),
        product_(runtime_),
        attention_(runtime_, type_),
        head_(runtime_) {}

  std::string description() const override {
    return fmt::format("{} {}", device_, runtime_.device_name());
  }
  WeightFormat weight_format(MatrixRole role) const override {
    return role == MatrixRole::kHead && bits_of(weights_) == 4 ? WeightFormat::kInt8 : weights_;
  }
  std::optional<std::uint64_t> available_memory() const override {
    // The rest is for the kernels' own scratch memory and for what the allocator rounds up.
    const std::uint64_t free = runtime_.free_memory();
    return free - free / 16;
  }

  std::unique_ptr<Buffer> allocate(std::int64_t elements) override {
    auto buffer = std::make_unique<DeviceBuffer>(runtime_, elements);
    product_.forget(buffer->data());  // where another was before
    return buffer;
  }

  std::unique_ptr<Buffer> upload(std::span<const float> values) override {
    auto buffer = std::make_unique<DeviceBuffer>(runtime_, std::ssize(values));
    product_.forget(buffer->data());
    runtime_.copy_to_device(buffer->data(), values.data(), values.size_bytes());
    runtime_.synchronize();
    return buffer;
  }

  void download(const Buffer& buffer, std::span<float> values) const override {
    check_download(buffer, values);
    runtime_.copy_to_host(values.data(), data_of(buffer), values.size_bytes());
    runtime_.synchronize();
  }

  std::unique_ptr<Matrix> pack(std::span<const StoredMatrix> parts, MatrixRole role) override {
    return std::make_unique<DeviceMatrix>(runtime_, pool_, parts, weight_format(role));
  }

  std::size_t packed_bytes(std::int64_t rows, std::int64_t columns,
                           MatrixRole role) const override {
    return DeviceMatrix::bytes_for(rows, columns, weight_format(role));
  }

  std::unique_ptr<EmbeddingTable> embedding(const StoredMatrix& table) override {
    return std::make_unique<DeviceEmbedding>(runtime_, table);
  }

  std::unique_ptr<KvSlab> allocate_kv(const KvShape& shape) override {
    return std::make_unique<DeviceKvSlab>(runtime_, shape, type_);
  }

  std::size_t kv_bytes(const KvShape& shape) const override {
    return DeviceKvSlab::bytes_for(shape, type_);
  }

  void read_kv(const KvSlab& kv, std::int64_t layer, std::span<const std::int32_t> positions,
               std::span<float> k, std::span<float> v) const override {
    const auto& slab = static_cast<const DeviceKvSlab&>(kv);
    const KvShape& shape = slab.shape();
    check_read_kv(shape, layer, positions, k, v);
    const std::size_t layer_bytes = slab.bytes() / static_cast<std::size_t>(shape.layers);
    const PinnedMemory host(runtime_, layer_bytes, "a layer's K/V");
    runtime_.copy_to_host(host.data(), slab.data() + static_cast<std::size_t>(layer) * layer_bytes,
                          layer_bytes);
    runtime_.synchronize();
    const std::int64_t padded_dim = DeviceKvSlab::padded_dim(shape.head_dim);
    std::int64_t to = 0;
    for (const std::int32_t position : positions) {
      for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
        for (std::int64_t i = 0; i < shape.head_dim; ++i, ++to) {
          const std::int64_t at = (head * shape.length + position) * padded_dim + i;
          const std::int64_t v_at = at + shape.kv_heads * shape.length * padded_dim;
          if (type_ == ComputeType::kF32) {
            k[to] = host.as<float>()[at];
            v[to] = host.as<float>()[v_at];
          } else {
            k[to] = to_float(host.as<bf16>()[at]);
            v[to] = to_float(host.as<bf16>()[v_at]);
          }
        }
      }
    }
  }

  void embed(const EmbeddingTable& table, std::span<const std::int32_t> tokens,
             Buffer& x) override {
    const auto& stored = static_cast<const DeviceEmbedding&>(table);
    check_size(x, std::ssize(tokens), stored.columns());
    check_tokens(tokens, stored.rows());
    queue_.flush();  // a forward begins: its launches are compared with those of forwards before
    stored.embed(runtime_, pool_, tokens, written(x));
  }

  void rms_norm(const Buffer& x, const Buffer& weight, float eps, std::int64_t rows,
                Buffer& out) override {
    check_size(x, rows, weight.size());
    check_size(out, rows, weight.size());
    float* const to = written(out);
    const OperandTask operand = product_.produce(projection_, to, rows, weight.size());
    run_rms_norm(&queue_, {.x = data_of(x),
                           .weight = data_of(weight),
                           .eps = eps,
                           .rows = queue_.rows(rows),
                           .columns = weight.size(),
                           .out = to,
                           .operand = operand});
  }

  void linear(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    multiply(weight, x, rows, y, false);
  }

  void linear_add(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y) override {
    multiply(weight, x, rows, y, true);
  }

  void head_norm(Buffer& qkv, const AttentionShape& shape, const HeadNorm& norm,
                 std::int64_t rows) override {
    check_head_norm(qkv, shape, norm, rows);
    run_head_norm(&queue_, {.qkv = written(qkv),
                            .q_weight = data_of(*norm.q_weight),
                            .k_weight = data_of(*norm.k_weight),
                            .eps = norm.eps,
                            .rows = queue_.rows(rows),
                            .heads = shape.heads,
                            .kv_heads = shape.kv_heads,
                            .head_dim = shape.head_dim});
  }

  void rope_store(Buffer& qkv, const Buffer& cos, const Buffer& sin,
                  const LayerRows& rows) override {
    check_rope(qkv, cos, sin, rows);
    attention_.rope_store(written(qkv), data_of(cos), data_of(sin), rows);
  }

  void attention(const Buffer& qkv, const LayerRows& rows, Buffer& out) override {
    check_attention(qkv, rows, out);
    attention_.attention(data_of(qkv), rows, written(out));
  }

  void swiglu(const Buffer& gate_up, std::int64_t rows, std::int64_t ffn, Buffer& out) override {
    check_size(gate_up, rows, 2 * ffn);
    check_size(out, rows, ffn);
    float* const to = written(out);
    const OperandTask operand = product_.produce(projection_, to, rows, ffn);
    run_swiglu(&queue_, {.gate_up = data_of(gate_up),
                         .rows = queue_.rows(rows),
                         .ffn = ffn,
                         .out = to,
                         .operand = operand});
  }

  void gather(const Buffer& x, std::span<const std::int32_t> rows, std::int64_t columns,
              Buffer& out) override {
    check_gather(x, rows, columns, out);
    run_gather(runtime_.stream(), {.x = data_of(x),
                                   .index = queue_.list<std::int32_t>(ListUse::kGatheredRows, rows),
                                   .rows = queue_.rows(std::ssize(rows)),
                                   .columns = columns,
                                   .out = written(out)});
  }

  void join_columns(std::span<const ColumnSlice> slices, std::int64_t rows, Buffer& out) override {
    const std::int64_t columns = check_slices(slices, rows, out);
    std::vector<DeviceSlice> joined;
    std::int64_t first = 0;
    std::int64_t widest = 0;
    for (const ColumnSlice& slice : slices) {
      const std::int64_t width = slice.end - slice.begin;
      joined.push_back({data_of(*slice.from) + slice.begin, slice.columns, width, first});
      first += width;
      widest = std::max(widest, width);
    }
    fetch_unreadable(slices, rows, joined);
    float* const to = written(out);
    run_join(&queue_, {.slices = queue_.list<DeviceSlice>(ListUse::kColumnSlices, joined),
                       .slice_count = std::ssize(joined),
                       .widest = widest,
                       .rows = queue_.rows(rows),
                       .columns = columns,
                       .out = to});
  }

  void mark() override { runtime_.mark(); }

  void wait_for_mark(const PeerBackend& other) override {
    runtime_.wait_for_mark(dynamic_cast<const DeviceBackend&>(other).runtime_);
  }

  void finish() override { runtime_.synchronize(); }

  void head_scores(const Matrix& head, const Buffer& x, std::span<const HeadRow> rows,
                   std::span<Score> scores) override {
    check_head_rows(head, x, rows, scores);
    head_.scores(static_cast<const DeviceMatrix&>(head), data_of(x), rows, scores);
  }

  void head_logits(const Matrix& head, const Buffer& x, std::int64_t rows,
                   std::span<float> logits) override {
    check_logits(head, x, rows, logits);
    head_.logits(static_cast<const DeviceMatrix&>(head), data_of(x), rows, logits);
  }

  const LaunchCounts& launch_counts() const { return queue_.counts(); }

 private:
  /// A buffer that an operation writes to.
  float* written(Buffer& buffer) {
    product_.forget(data_of(buffer));
    return data_of(buffer);
  }

  void multiply(const Matrix& weight, const Buffer& x, std::int64_t rows, Buffer& y, bool add) {
    check_product(weight, x, rows, y);
    const auto& matrix = static_cast<const DeviceMatrix&>(weight);
    product_.prepare(matrix, data_of(x), rows);
    product_.multiply(matrix, {0, matrix.out_features()}, written(y), matrix.out_features(), add);
  }

  /// Copies the rows of slices that kernels here cannot read from their devices.
  void fetch_unreadable(std::span<const ColumnSlice> slices, std::int64_t rows,
                        std::span<DeviceSlice> joined) {
    const auto source = [](const ColumnSlice& slice) -> const DeviceBuffer& {
      return static_cast<const DeviceBuffer&>(*slice.from);
    };
    const auto is_readable = [&](const ColumnSlice& slice) {
      const Runtime& runtime = source(slice).runtime();
      return &runtime == &runtime_ || runtime_.can_read(runtime);
    };
    const auto bytes_of = [rows](const ColumnSlice& slice) {
      return static_cast<std::size_t>(rows * slice.columns) * sizeof(float);
    };
    std::size_t bytes = 0;
    for (const ColumnSlice& slice : slices) bytes += is_readable(slice) ? 0 : bytes_of(slice);
    if (bytes == 0) return;
    fetched_.reserve(runtime_, bytes, "columns of other devices");
    std::byte* to = fetched_.data();
    for (std::size_t i = 0; i < slices.size(); ++i) {
      if (is_readable(slices[i])) continue;
      const DeviceBuffer& buffer = source(slices[i]);
      runtime_.copy_from_peer(to, buffer.runtime(), buffer.data(), bytes_of(slices[i]));
      joined[i].from = reinterpret_cast<const float*>(to) + slices[i].begin;
      to += bytes_of(slices[i]);
    }
  }

  std::string device_;
  WeightFormat weights_;
  ComputeType type_;
  FormatLayout projection_;
  ThreadPool pool_;
  mutable Runtime runtime_;  // download() and read_kv() copy on it
  LaunchQueue queue_;
  DeviceMemory fetched_;
  DeviceProduct product_;
  DeviceAttention attention_;
  DeviceHead head_;
};

}  // namespace

std::unique_ptr<Backend> make_device_backend(const BackendOptions& options) {
  if (options.isa != "auto") {
    fail(ErrorCode::kInvalidArgument,
         "isa: expected 'auto' for the device '{}', found '{}'; instruction sets are of the device "
         "'cpu'",
         options.device, options.isa);
  }
  return std::make_unique<DeviceBackend>(options);
}

LaunchCounts launch_counts(const Backend& backend) {
  return dynamic_cast<const DeviceBackend&>(backend).launch_counts();
}

DeviceBuffer::DeviceBuffer(Runtime& runtime, std::int64_t elements)
    : runtime_(&runtime), size_(elements) {
  check(elements >= 0, "size of a buffer");
  memory_ = DeviceMemory(runtime, static_cast<std::size_t>(elements) * sizeof(float),
                         "activation buffer");
}

DeviceKvSlab::DeviceKvSlab(Runtime& runtime, const KvShape& shape, ComputeType type)
    : KvSlab(shape) {
  check_kv_shape(shape, kMaxHeadDim);
  memory_ = DeviceMemory(runtime, bytes_for(shape, type), "K/V cache");
}

std::size_t DeviceKvSlab::bytes_for(const KvShape& shape, ComputeType type) {
  return static_cast<std::size_t>(shape.layers * 2 * shape.kv_heads * shape.length *
                                  padded_dim(shape.head_dim)) *
         (type == ComputeType::kF32 ? sizeof(float) : sizeof(bf16));
}

}  // namespace fdllm::cuda
