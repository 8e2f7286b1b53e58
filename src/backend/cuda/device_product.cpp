#include "backend/cuda/device_product.h"

#include "backend/cuda/launch_queue.h"

namespace fdllm::cuda {

OperandTask DeviceProduct::reserve(const FormatLayout& layout, std::int64_t rows,
                                   std::int64_t columns) {
  rows_ = rows;
  stride_ = layout.activation_stride(columns);
  source_ = nullptr;
  memory_.reserve(*runtime_, static_cast<std::size_t>(rows * stride_), "activations");
  const auto segments = static_cast<std::size_t>(rows * layout.segments(columns));
  scales_.reserve(*runtime_, segments * sizeof(float), "activation scales");
  offsets_.reserve(*runtime_, segments * sizeof(std::int32_t), "activation sums");
  activations_ = memory_.data();
  return {.kind = layout.kind,
          .out = memory_.data(),
          .out_stride = stride_,
          .segment = layout.packing->segment,
          .shared_scale = layout.packing->shared_scale,
          .weight_offset = layout.packing->weight_offset,
          .scales = scales_.as<float>(),
          .offsets = offsets_.as<std::int32_t>()};
}

OperandTask DeviceProduct::produce(const FormatLayout& layout, const float* x, std::int64_t rows,
                                   std::int64_t columns) {
  if (layout.kind == OperandKind::kF32) return {};
  const OperandTask operand = reserve(layout, rows, columns);
  source_ = x;
  columns_ = columns;
  packing_ = layout.packing;
  return operand;
}

void DeviceProduct::prepare(const DeviceMatrix& weight, const float* x, std::int64_t rows) {
  const FormatLayout& layout = weight.layout();
  const std::int64_t columns = weight.in_features();
  if (layout.kind == OperandKind::kF32) {
    rows_ = rows;
    activations_ = reinterpret_cast<const std::byte*>(x);
    stride_ = columns * std::int64_t{sizeof(float)};
    return;
  }
  if (source_ == x && rows_ == rows && columns_ == columns && packing_ == layout.packing) return;
  const OperandTask operand = reserve(layout, rows, columns);
  run_prepare(runtime_->stream(), {.x = x,
                                   .index = nullptr,
                                   .rows = runtime_->stream()->rows(rows),
                                   .columns = columns,
                                   .operand = operand});
}

void DeviceProduct::prepare(const DeviceMatrix& weight, const float* x,
                            std::span<const std::int32_t> index) {
  const OperandTask operand = reserve(weight.layout(), std::ssize(index), weight.in_features());
  LaunchQueue& queue = *runtime_->stream();
  run_prepare(&queue, {.x = x,
                       .index = queue.list(ListUse::kHeadHidden, index),
                       .rows = queue.rows(std::ssize(index)),
                       .columns = weight.in_features(),
                       .operand = operand});
}

void DeviceProduct::multiply(const DeviceMatrix& weight, OutputColumns columns, float* out,
                             std::int64_t stride, bool add) {
  const std::int64_t first = columns.first;
  const FormatLayout& layout = weight.layout();
  const std::int64_t segments = layout.segments(weight.in_features());
  ProductTask task{.a = activations_,
                   .a_stride = stride_,
                   .a_scales = scales_.as<float>(),
                   .a_offsets = offsets_.as<std::int32_t>(),
                   .w = weight.weights() + first * weight.stride(),
                   .w_stride = weight.stride(),
                   .w_scales = weight.scales() + first * segments,
                   .bias = weight.bias() == nullptr ? nullptr : weight.bias() + first,
                   .out = out,
                   .out_stride = stride,
                   .rows = {nullptr, bucket_of(rows_)},
                   .columns = columns.count,
                   .values = weight.in_features(),
                   .segments = segments,
                   .part_bytes = weight.part_bytes(),
                   .add = add,
                   .partials = nullptr,
                   .counters = nullptr};
  const ProductRoom room = product_room(layout.kind, task);
  if (room.counters > 0) {
    partials_.reserve(*runtime_, room.partial_bytes, "parts of products");
    counters_.reserve(*runtime_, room.counters * sizeof(std::int32_t), "products' counters");
    task.partials = partials_.as<float>();
    task.counters = counters_.as<std::int32_t>();
  }
  task.rows = runtime_->stream()->rows(rows_);
  run_product(runtime_->stream(), layout.kind, layout.packing->segment, task);
}

}  // namespace fdllm::cuda
