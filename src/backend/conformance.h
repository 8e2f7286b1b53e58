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

#include <gtest/gtest.h>

#include "backend/backend.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/packed_matrix.h"
#if defined(FDLLM_CUDA_EMULATION)
#include "backend/cuda/device_backend.h"
#include "backend/cuda/device_matrix.h"
#endif
#include "base/dtype.h"

namespace fdllm {

struct Subject {
  std::string isa;  ///< "cuda_emulated": no instruction set, but the device of that name
  WeightFormat format;

  bool is_bf16() const { return format == WeightFormat::kBF16; }
  bool is_integer() const { return bits_of(format) <= 8; }
  bool is_device() const { return isa == "cuda_emulated"; }
  std::unique_ptr<Backend> make(int threads) const {
    if (is_device()) {
      return make_backend({.device = "cuda-emulated", .weights = format, .threads = threads});
    }
    return make_backend({.device = "cpu", .weights = format, .isa = isa, .threads = threads});
  }
  /// A value as a GEMM of f32 or bf16 sees it.
  double seen(float value) const {
    return static_cast<double>(is_bf16() ? round_bf16(value) : value);
  }
};

inline std::vector<Subject> subjects_of(std::initializer_list<WeightFormat> formats) {
  std::vector<Subject> subjects;
  for (const std::string& isa : cpu::available_isas()) {
    for (const WeightFormat format : formats) subjects.push_back({isa, format});
  }
#if defined(FDLLM_CUDA_EMULATION)
  for (const WeightFormat format : formats) subjects.push_back({"cuda_emulated", format});
#endif
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
  return info.param.isa + names[static_cast<std::size_t>(info.param.format)];
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

/// A buffer's values in place; an emulated device's memory is the host's.
inline std::span<float> values_of(Buffer& buffer) {
#if defined(FDLLM_CUDA_EMULATION)
  if (auto* device = dynamic_cast<cuda::DeviceBuffer*>(&buffer)) {
    return {device->data(), static_cast<std::size_t>(device->size())};
  }
#endif
  auto& host = static_cast<cpu::HostBuffer&>(buffer);
  return {host.data(), static_cast<std::size_t>(host.size())};
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace fdllm
