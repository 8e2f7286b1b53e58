#include "backend/cpu/host_kv_slab.h"

#include <algorithm>

#include "backend/argument_checks.h"
#include "backend/cpu/kernels.h"
#include "base/dtype.h"
#include "base/round_up.h"

namespace fdllm::cpu {

HostKvSlab::HostKvSlab(const KvShape& shape, std::size_t element_bytes)
    : KvSlab(shape),
      element_bytes_(static_cast<std::int64_t>(element_bytes)),
      padded_length_(round_up<std::int64_t>(shape.length, kPanelColumns)),
      padded_dim_(round_up<std::int64_t>(shape.head_dim, kPanelColumns)) {
  check_kv_shape(shape, kMaxHeadDim);
  memory_ = HostMemory(bytes_for(shape, element_bytes), "K/V cache");
}

std::size_t HostKvSlab::bytes_for(const KvShape& shape, std::size_t element_bytes) {
  const std::int64_t row = shape.head_dim + round_up<std::int64_t>(shape.head_dim, kPanelColumns);
  return static_cast<std::size_t>(shape.layers * shape.kv_heads *
                                  round_up<std::int64_t>(shape.length, kPanelColumns) * row) *
         element_bytes;
}

std::byte* HostKvSlab::k(std::int64_t layer, std::int64_t head) const {
  return memory_.data() + (layer * shape().kv_heads + head) * padded_length_ *
                              (shape().head_dim + padded_dim_) * element_bytes_;
}

std::byte* HostKvSlab::v(std::int64_t layer, std::int64_t head) const {
  return k(layer, head) + padded_length_ * shape().head_dim * element_bytes_;
}

std::ptrdiff_t HostKvSlab::k_panel_stride() const {
  return shape().head_dim * kPanelColumns * element_bytes_;
}

std::ptrdiff_t HostKvSlab::v_panel_stride() const {
  return padded_length_ * kPanelColumns * element_bytes_;
}

void HostKvSlab::store(std::int64_t layer, std::int64_t head, std::int64_t position, const float* k,
                       const float* v) const {
  const std::int64_t dim = shape().head_dim;
  const std::int64_t panel = position / kPanelColumns;
  auto* k_out = reinterpret_cast<float*>(this->k(layer, head) + panel * k_panel_stride()) +
                position % kPanelColumns;
  for (std::int64_t i = 0; i < dim; ++i) k_out[i * kPanelColumns] = k[i];
  for (std::int64_t i = 0; i < dim; i += kPanelColumns) {
    auto* v_out =
        reinterpret_cast<float*>(this->v(layer, head) + i / kPanelColumns * v_panel_stride());
    std::copy_n(v + i, std::min<std::int64_t>(kPanelColumns, dim - i),
                v_out + position * kPanelColumns);
  }
}

void HostKvSlab::store(std::int64_t layer, std::int64_t head, std::int64_t position,
                       const std::uint16_t* k, const std::uint16_t* v) const {
  const std::int64_t dim = shape().head_dim;
  const std::int64_t panel = position / kPanelColumns;
  auto* k_out = reinterpret_cast<std::uint16_t*>(this->k(layer, head) + panel * k_panel_stride()) +
                2 * (position % kPanelColumns);
  for (std::int64_t i = 0; i < dim; i += 2) {
    k_out[i * kPanelColumns] = k[i];
    k_out[i * kPanelColumns + 1] = k[i + 1];
  }
  for (std::int64_t i = 0; i < dim; i += kPanelColumns) {
    auto* v_out = reinterpret_cast<std::uint16_t*>(this->v(layer, head) +
                                                   i / kPanelColumns * v_panel_stride()) +
                  position / 2 * 2 * kPanelColumns + position % 2;
    const std::int64_t count = std::min<std::int64_t>(kPanelColumns, dim - i);
    for (std::int64_t j = 0; j < count; ++j) v_out[2 * j] = v[i + j];
  }
}

void HostKvSlab::read_row(std::int64_t layer, std::int64_t position, float* k, float* v) const {
  const std::int64_t panel = position / kPanelColumns;
  const std::int64_t column = position % kPanelColumns;
  for (std::int64_t head = 0; head < shape().kv_heads; ++head) {
    const std::byte* k_panel = this->k(layer, head) + panel * k_panel_stride();
    for (std::int64_t i = 0; i < shape().head_dim; ++i) {
      const std::byte* v_panel = this->v(layer, head) + i / kPanelColumns * v_panel_stride();
      const std::int64_t v_column = i % kPanelColumns;
      float& k_out = k[head * shape().head_dim + i];
      float& v_out = v[head * shape().head_dim + i];
      if (element_bytes_ == sizeof(float)) {
        k_out = reinterpret_cast<const float*>(k_panel)[i * kPanelColumns + column];
        v_out = reinterpret_cast<const float*>(v_panel)[position * kPanelColumns + v_column];
      } else {  // pairs of the inner dimension lie side by side
        const auto* k_bits = reinterpret_cast<const std::uint16_t*>(k_panel);
        const auto* v_bits = reinterpret_cast<const std::uint16_t*>(v_panel);
        k_out = to_float(bf16{k_bits[(i / 2 * kPanelColumns + column) * 2 + i % 2]});
        v_out =
            to_float(bf16{v_bits[(position / 2 * kPanelColumns + v_column) * 2 + position % 2]});
      }
    }
  }
}

}  // namespace fdllm::cpu
