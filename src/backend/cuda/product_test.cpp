// Products however they are split over K: the same bits. (That back ends agree on products is in
// the conformance tests; there the host chooses how to split.)
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch_queue.h"
#include "backend/cuda/runtime.h"
#include "base/dtype.h"

namespace fdllm::cuda {
namespace {

struct Case {
  OperandKind kind;
  std::int64_t values, segment, part_bytes;
};

/// Random operands of a case, the largest rows and columns that any test takes.
class Product {
 public:
  static constexpr std::int32_t kRows = 150;
  static constexpr std::int64_t kColumns = 70, kOutStride = 75;

  explicit Product(const Case& of) : of_(of) {
    const std::int64_t bits = of.kind == OperandKind::kBF16 ? 16 : 8;
    a_stride_ = (of.values * bits + 127) / 128 * 16;
    w_stride_ = of.kind == OperandKind::kInt4 ? (of.values * 4 + 127) / 128 * 16 : a_stride_;
    segments_ = of.segment == 0 ? 0 : (of.values + of.segment - 1) / of.segment;
    fill(a_, kRows, a_stride_);
    fill(w_, kColumns, w_stride_);
    for (std::int64_t i = 0; i < kRows * segments_; ++i) {
      a_scales_.push_back(value());
      a_offsets_.push_back(static_cast<std::int32_t>(random_() % 2000) - 1000);
    }
    for (std::int64_t i = 0; i < kColumns * segments_; ++i) w_scales_.push_back(value());
    for (std::int64_t i = 0; i < kColumns; ++i) bias_.push_back(value());
    for (std::int64_t i = 0; i < kRows * kOutStride; ++i) old_.push_back(value());
  }

  /// What is in `out` after the product of the first `rows` rows.
  std::vector<float> run(std::int32_t rows, bool add, bool is_split) {
    std::vector<float> out = old_;
    ProductTask task{.a = a_.data(),
                     .a_stride = a_stride_,
                     .a_scales = a_scales_.data(),
                     .a_offsets = a_offsets_.data(),
                     .w = w_.data(),
                     .w_stride = w_stride_,
                     .w_scales = w_scales_.data(),
                     .bias = bias_.data(),
                     .out = out.data(),
                     .out_stride = kOutStride,
                     .rows = {&rows, bucket_of(rows)},
                     .columns = kColumns,
                     .values = of_.values,
                     .segments = segments_,
                     .part_bytes = of_.part_bytes,
                     .add = add,
                     .partials = nullptr,
                     .counters = nullptr};
    const ProductRoom room = product_room(of_.kind, task);
    EXPECT_GT(room.counters, 0u) << "so few blocks should be split";
    std::vector<float> partials(room.partial_bytes / sizeof(float));
    std::vector<std::int32_t> counters(room.counters);
    if (is_split) {
      task.partials = partials.data();
      task.counters = counters.data();
    }
    Runtime runtime;
    LaunchQueue queue(runtime, LaunchMode::kDirect);
    run_product(&queue, of_.kind, of_.segment, task);
    EXPECT_EQ(counters, std::vector<std::int32_t>(counters.size())) << "counters are left at 0";
    return out;
  }

  const std::vector<float>& old() const { return old_; }

 private:
  float value() { return std::normal_distribution<float>()(random_); }

  void fill(std::vector<std::byte>& bytes, std::int64_t rows, std::int64_t stride) {
    const std::int64_t row_bytes = stride - stride % 16;
    for (std::int64_t i = 0; i < rows * row_bytes / 2; ++i) {
      const auto bits = of_.kind == OperandKind::kBF16 ? to_bf16(value()).bits
                                                       : static_cast<std::uint16_t>(random_());
      bytes.push_back(static_cast<std::byte>(bits & 0xff));
      bytes.push_back(static_cast<std::byte>(bits >> 8));
    }
  }

  Case of_;
  std::mt19937 random_{11};
  std::int64_t a_stride_, w_stride_, segments_;
  std::vector<std::byte> a_, w_;
  std::vector<float> a_scales_, w_scales_, bias_, old_;
  std::vector<std::int32_t> a_offsets_;
};

TEST(Product, IsTheSameHoweverItIsSplit) {
  const Case cases[] = {
      {OperandKind::kBF16, 1096, 0, 512},     {OperandKind::kBF16, 256, 0, 128},
      {OperandKind::kInt8, 4500, 2048, 2048}, {OperandKind::kInt8, 2080, 128, 2048},
      {OperandKind::kInt8, 4128, 32, 2048},   {OperandKind::kInt4, 4224, 128, 2048}};
  for (const Case& each : cases) {
    Product product(each);
    for (const bool add : {false, true}) {
      const std::vector<float> all = product.run(Product::kRows, add, false);
      for (const std::int32_t rows : {1, 16, 33, 64, 150}) {
        for (const bool is_split : {false, true}) {
          const std::vector<float> out = product.run(rows, add, is_split);
          for (std::int64_t row = 0; row < Product::kRows; ++row) {
            const std::int64_t at = row * Product::kOutStride;
            const float* const wanted = row < rows ? &all[at] : &product.old()[at];
            ASSERT_EQ(std::memcmp(&out[at], wanted, sizeof(float) * Product::kColumns), 0)
                << "kind " << static_cast<int>(each.kind) << ", K " << each.values << ", row "
                << row << " of " << rows << (is_split ? " split" : "");
            ASSERT_EQ(
                std::memcmp(&out[at + Product::kColumns], &product.old()[at + Product::kColumns],
                            sizeof(float) * (Product::kOutStride - Product::kColumns)),
                0)
                << "beyond the columns";
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace fdllm::cuda
