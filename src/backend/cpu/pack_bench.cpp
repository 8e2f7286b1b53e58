// Packing stored weights: nanoseconds a weight, by stored type, format and instruction set.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "backend/backend.h"
#include "quant/row.h"

namespace fdllm {
namespace {

constexpr std::int64_t kRows = 4096, kColumns = 4096;

std::vector<std::byte> random_rows(DType type) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> row(kColumns);
  std::vector<std::byte> stored(static_cast<std::size_t>(kRows) * row_bytes(type, kColumns));
  const std::size_t bytes = row_bytes(type, kColumns);
  for (float& value : row) value = normal(random);
  encode_row(type, row, std::span(stored).first(bytes));
  for (std::size_t i = 1; i < kRows; ++i) std::memcpy(&stored[i * bytes], stored.data(), bytes);
  return stored;
}

void run(benchmark::State& state, const char* isa, DType type, WeightFormat format) {
  const auto backend =
      make_backend({.weights = format, .isa = isa, .threads = static_cast<int>(state.range(0))});
  const std::vector<std::byte> data = random_rows(type);
  StoredMatrix matrix;
  matrix.data = data;
  matrix.dtype = type;
  matrix.rows = kRows;
  matrix.columns = kColumns;
  for (auto _ : state) {
    benchmark::DoNotOptimize(backend->pack(std::span(&matrix, 1), MatrixRole::kProjection));
  }
  state.counters["ns/weight"] = benchmark::Counter(
      1e-9 * static_cast<double>(kRows * kColumns),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void register_all() {
  const std::pair<WeightFormat, const char*> formats[] = {
      {WeightFormat::kF32, "f32"},   {WeightFormat::kBF16, "bf16"},
      {WeightFormat::kInt8, "int8"}, {WeightFormat::kInt8Group32, "int8-g32"},
      {WeightFormat::kInt4, "int4"}, {WeightFormat::kInt4Group32, "int4-g32"}};
  for (const char* isa : {"avx512bf16", "avx2", "scalar"}) {
    for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0,
                             DType::kQ4_K, DType::kQ6_K}) {
      for (const auto& [format, format_name] : formats) {
        const std::string name =
            std::string("pack/") + isa + "/" + name_of(type) + "/" + format_name;
        benchmark::RegisterBenchmark(name.c_str(), run, isa, type, format)
            ->UseRealTime()
            ->ArgName("threads")
            ->Arg(1)
            ->Arg(2);
      }
    }
  }
}

const bool kRegistered = (register_all(), true);

}  // namespace
}  // namespace fdllm
