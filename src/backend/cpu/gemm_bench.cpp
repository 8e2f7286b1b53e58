// GFLOP/s of the linear operation, weights coming from memory (several copies in turn), for the
// shapes of LLaDA-8B and of the small default model.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "fastdllm/error.h"

#include "backend/backend.h"

namespace fdllm {
namespace {

/// Weights that are passed over between two uses of the same copy: more than any cache holds.
constexpr double kColdBytes = 256e6;

void run(benchmark::State& state, const std::string& isa, WeightFormat format, bool cold) {
  const std::int64_t rows = state.range(0);
  const std::int64_t in = state.range(1);
  const std::int64_t out = state.range(2);
  BackendOptions options;
  options.isa = isa;
  options.weights = format;
  options.threads = static_cast<int>(state.range(3));
  std::unique_ptr<Backend> backend;
  try {
    backend = make_backend(options);
  } catch (const Error& error) {
    state.SkipWithError(error.what());
    return;
  }
  std::vector<std::uint16_t> weights(static_cast<std::size_t>(in * out));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<std::uint16_t>(0x3c00 + i % 251);  // bf16, about 0.01
  }
  StoredMatrix stored;
  stored.data = std::as_bytes(std::span(weights));
  stored.dtype = DType::kBF16;
  stored.rows = out;
  stored.columns = in;
  const double bytes = static_cast<double>(backend->packed_bytes(out, in, MatrixRole::kProjection));
  const int copies = cold ? static_cast<int>(std::ceil(kColdBytes / bytes)) : 1;
  std::vector<std::unique_ptr<Matrix>> matrices;
  for (int i = 0; i < copies; ++i) {
    matrices.push_back(backend->pack({&stored, 1}, MatrixRole::kProjection));
  }
  std::vector<float> values(static_cast<std::size_t>(rows * in));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i) * 0.37f);
  }
  const auto x = backend->upload(values);
  const auto y = backend->allocate(rows * out);
  std::size_t next = 0;
  for (auto _ : state) {
    backend->linear(*matrices[next], *x, rows, *y);
    next = (next + 1) % matrices.size();
  }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(rows * in * out),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void register_all() {
  struct Shape {
    const char* model;
    std::int64_t in, out;
    bool cold;
  };
  const Shape shapes[] = {
      {"llada-8b", 4096, 12288, true}, {"llada-8b", 12288, 4096, true},
      {"llada-8b", 4096, 24576, true}, {"nano", 128, 384, false},
      {"nano", 128, 768, false},       {"nano", 384, 128, false},
  };
  const std::pair<WeightFormat, const char*> formats[] = {
      {WeightFormat::kF32, "f32"},
      {WeightFormat::kBF16, "bf16"},
      {WeightFormat::kInt8, "int8"},
      {WeightFormat::kInt8Group128, "int8-g128"},
      {WeightFormat::kInt8Group32, "int8-g32"},
      {WeightFormat::kInt4, "int4"},
      {WeightFormat::kInt4Group32, "int4-g32"}};
  for (const char* isa : {"avx512bf16", "avx512vnni", "avx2"}) {
    for (const auto& [format, format_name] : formats) {
      for (const Shape& shape : shapes) {
        const std::string name =
            std::string("linear/") + isa + "/" + format_name + "/" + shape.model;
        auto* made = benchmark::RegisterBenchmark(name.c_str(), run, isa, format, shape.cold);
        made->UseRealTime()->ArgNames({"rows", "in", "out", "threads"});
        for (const std::int64_t rows : {1, 8, 32, 256, 1280}) {
          for (const std::int64_t threads : {1, 2}) {
            made->Args({rows, shape.in, shape.out, threads});
          }
        }
      }
    }
  }
}

const bool kRegistered = (register_all(), true);

}  // namespace
}  // namespace fdllm
