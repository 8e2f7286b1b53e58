#include "bench/random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "base/check.h"
#include "base/rng.h"
#include "model/config.h"

namespace fdllm::bench {
namespace {

constexpr double kDeviation = 0.02;
/// Distinct values, repeated to fill the buffer. A prime, so that no two rows of a matrix are
/// alike.
constexpr std::size_t kDistinct = 1048573;
/// Elements by which the buffer exceeds the largest matrix: embedding and head then differ.
constexpr std::size_t kSlack = std::size_t{1} << 16;
constexpr std::size_t kAlignment = 32;  // elements: 64 bytes

/// Zeroed memory that counts as shared.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) {
      fail(ErrorCode::kOutOfMemory, "random weights: could not allocate {} bytes", bytes);
    }
  }
  ~SharedMemory() { munmap(data_, bytes_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  bf16* data() const { return static_cast<bf16*>(data_); }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

/// Normal numbers by the Box-Muller transform.
std::vector<bf16> normal_numbers(std::size_t count) {
  std::vector<bf16> values;
  values.reserve(count + 1);
  for (std::uint32_t i = 0; values.size() < count; ++i) {
    const auto words = philox(0, {i, 0, 0, 0});
    const double radius =
        kDeviation * std::sqrt(-2.0 * std::log((static_cast<double>(words[0]) + 0.5) * 0x1p-32));
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(words[1]) * 0x1p-32;
    values.push_back(to_bf16(static_cast<float>(radius * std::cos(angle))));
    values.push_back(to_bf16(static_cast<float>(radius * std::sin(angle))));
  }
  values.resize(count);
  return values;
}

class RandomCheckpoint final : public Checkpoint {
 public:
  RandomCheckpoint(const Shape& shape, std::optional<std::int64_t> layers)
      : path_(shape.name), config_(shape_config(shape, layers)) {
    const Family& family = family_of(*this);
    const ModelConfig model = family.read_config(*this);
    name_tensors(tensor_names(family, format()), model);
    std::int64_t largest = 0;
    for (const auto& [name, tensor] : tensors_) largest = std::max(largest, tensor.elements());
    fill(static_cast<std::size_t>(largest) + kSlack);
    ones_.assign(static_cast<std::size_t>(model.hidden), to_bf16(1.0f));
    place_tensors();
  }

  const std::filesystem::path& path() const override { return path_; }
  std::string_view format() const override { return "safetensors"; }
  const Metadata& config() const override { return config_; }
  const Metadata& generation() const override { return generation_; }
  const TensorView* find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }

 private:
  void add(std::string_view pattern, std::int64_t layer, std::vector<std::int64_t> shape) {
    std::string name = fmt::format(fmt::runtime(pattern), layer);
    TensorView tensor{name, DType::kBF16, std::move(shape), {}, path_.string()};
    tensors_.emplace(std::move(name), std::move(tensor));
  }

  void name_tensors(const TensorNames& names, const ModelConfig& model) {
    const std::int64_t query = model.heads * model.head_dim;
    const std::int64_t key_value = model.kv_heads * model.head_dim;
    add(names.embedding, 0, {model.vocab, model.hidden});
    add(names.final_norm, 0, {model.hidden});
    if (!model.tied_embeddings) add(names.head, 0, {model.vocab, model.hidden});
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      add(names.attention_norm, layer, {model.hidden});
      add(names.q, layer, {query, model.hidden});
      add(names.k, layer, {key_value, model.hidden});
      add(names.v, layer, {key_value, model.hidden});
      add(names.attention_out, layer, {model.hidden, query});
      add(names.ffn_norm, layer, {model.hidden});
      add(names.gate, layer, {model.ffn, model.hidden});
      add(names.up, layer, {model.ffn, model.hidden});
      add(names.down, layer, {model.hidden, model.ffn});
      if (model.qk_norm) {
        add(names.q_norm, layer, {model.head_dim});
        add(names.k_norm, layer, {model.head_dim});
      }
      if (!model.qkv_bias) continue;
      add(names.q_bias, layer, {query});
      add(names.k_bias, layer, {key_value});
      add(names.v_bias, layer, {key_value});
    }
  }

  void fill(std::size_t elements) {
    elements_ = elements;
    memory_ = std::make_unique<SharedMemory>(elements * sizeof(bf16));
    const std::vector<bf16> values = normal_numbers(std::min(kDistinct, elements));
    for (std::size_t i = 0; i < elements; i += values.size()) {
      const std::size_t count = std::min(values.size(), elements - i);
      std::memcpy(memory_->data() + i, values.data(), count * sizeof(bf16));
    }
  }

  /// Each matrix and bias begins at its own place of the buffer; norms are the only other vectors.
  void place_tensors() {
    std::size_t place = 0;
    for (auto& [name, tensor] : tensors_) {
      const auto count = static_cast<std::size_t>(tensor.elements());
      const bool is_norm = tensor.shape.size() == 1 && !name.ends_with(".bias");
      if (is_norm) {
        tensor.data = std::as_bytes(std::span(ones_));
        continue;
      }
      const std::size_t places = (elements_ - count) / kAlignment;
      tensor.data =
          std::as_bytes(std::span(memory_->data() + (place++ * 7919 % places) * kAlignment, count));
    }
  }

  std::filesystem::path path_;
  Metadata config_, generation_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::unique_ptr<SharedMemory> memory_;
  std::size_t elements_ = 0;
  std::vector<bf16> ones_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_random_checkpoint(const Shape& shape,
                                                   std::optional<std::int64_t> layers) {
  return std::make_unique<RandomCheckpoint>(shape, layers);
}

}  // namespace fdllm::bench
