// What the conformance tests share: every back end of this machine, random inputs and plain
// references in double precision.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backend/backend.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/memory_reader.h"
#include "backend/tensor_parallel/tensor_parallel_backend.h"
#if defined(FDLLM_TEST_DEVICE)
#include "backend/cuda/device_matrix.h"
#include "backend/cuda/runtime.h"
#endif
#include "base/dtype.h"

namespace fdllm {

struct Subject {
  std::string isa;  ///< "device": no instruction set, but FDLLM_TEST_DEVICE
  WeightFormat format;
  int devices = 1;  ///< above 1: so many back ends, tensor parallel

  bool is_bf16() const { return format == WeightFormat::kBF16; }
  bool is_integer() const { return bits_of(format) <= 8; }
  bool is_device() const { return isa == "device"; }
  std::unique_ptr<Backend> make(int threads) const {
    if (devices == 1) return make_one(threads, "");
    std::vector<std::unique_ptr<Backend>> all;
    for (int i = 0; i < devices; ++i) all.push_back(make_one(threads, fmt::format(":{}", i)));
    return make_tensor_parallel_backend(std::move(all));
  }
  /// Bytes of a bias of `columns`: whole panels of 16 on each device.
  std::size_t bias_bytes(std::int64_t columns) const {
    std::int64_t bytes = 0;
    for (int i = 0; i < devices; ++i) {
      const std::int64_t own = columns * (i + 1) / devices - columns * i / devices;
      bytes += (own + 15) / 16 * 64;
    }
    return static_cast<std::size_t>(bytes);
  }
  /// `shape` with as many times the heads where they could not be dealt out otherwise.
  AttentionShape dealt(const AttentionShape& shape) const {
    if (shape.kv_heads % devices == 0) return shape;
    return {shape.heads * devices, shape.kv_heads * devices, shape.head_dim};
  }
  /// A value as a GEMM of f32 or bf16 sees it.
  double seen(float value) const {
    return static_cast<double>(is_bf16() ? round_bf16(value) : value);
  }

 private:
  std::unique_ptr<Backend> make_one(int threads, [[maybe_unused]] const std::string& number) const {
#if defined(FDLLM_TEST_DEVICE)
    if (is_device()) {
      return make_backend(
          {.device = FDLLM_TEST_DEVICE + number, .weights = format, .threads = threads});
    }
#endif
    return make_backend({.device = "cpu", .weights = format, .isa = isa, .threads = threads});
  }
};

inline std::vector<Subject> subjects_of(std::initializer_list<WeightFormat> formats) {
  std::vector<Subject> subjects;
  for (const std::string& isa : cpu::available_isas()) {
    for (const WeightFormat format : formats) subjects.push_back({isa, format});
  }
#if defined(FDLLM_TEST_DEVICE)
  for (const WeightFormat format : formats) subjects.push_back({"device", format});
  for (const WeightFormat format : formats) {
#if defined(FDLLM_CUDA_EMULATION)
    // Slow: two formats here, and tensor_parallel_test.cpp compares each with one device.
    if (format != WeightFormat::kBF16 && format != WeightFormat::kInt4) continue;
#endif
    if (cuda::Runtime::device_count() >= 2) subjects.push_back({"device", format, 2});
  }
#endif
  const std::string best = cpu::available_isas().front();
  for (const WeightFormat format : formats) subjects.push_back({best, format, 2});
  return subjects;
}

/// What does not depend on the weights is tested with these.
inline std::vector<Subject> float_subjects() {
  return subjects_of({WeightFormat::kF32, WeightFormat::kBF16});
}
inline std::vector<Subject> integer_subjects() {
  return subjects_of({WeightFormat::kInt8, WeightFormat::kInt8Group128, WeightFormat::kInt8Group32,
                      WeightFormat::kInt4, WeightFormat::kInt4Group32});
}
inline std::vector<Subject> all_subjects() {
  std::vector<Subject> subjects = float_subjects();
  for (const Subject& subject : integer_subjects()) subjects.push_back(subject);
  return subjects;
}

inline std::string name_of_subject(const testing::TestParamInfo<Subject>& info) {
  const char* names[] = {"_f32", "_bf16", "_int8", "_int8_g128", "_int8_g32", "_int4", "_int4_g32"};
  const std::string count = info.param.devices == 1 ? "" : fmt::format("_x{}", info.param.devices);
  return info.param.isa + count + names[static_cast<std::size_t>(info.param.format)];
}

/// A test body that runs for every instruction set and weight format of this machine.
class Conformance : public testing::TestWithParam<Subject> {
 protected:
  const Subject& subject() const { return GetParam(); }

  std::vector<float> normal(std::int64_t count, float deviation = 1.0f) {
    std::normal_distribution<float> distribution(0.0f, deviation);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = distribution(random_);
    return values;
  }
  std::int64_t integer(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  std::mt19937 random_{20251124};
};

inline StoredMatrix stored(const std::vector<float>& values, std::int64_t rows,
                           std::int64_t columns) {
  StoredMatrix matrix;
  matrix.data = std::as_bytes(std::span(values));
  matrix.rows = rows;
  matrix.columns = columns;
  return matrix;
}

inline std::vector<float> values_of(const Backend& backend, const Buffer& buffer) {
  std::vector<float> values(static_cast<std::size_t>(buffer.size()));
  MemoryReader::of(backend).download(buffer, values);
  return values;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace fdllm
