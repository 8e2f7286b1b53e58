#include "bench/operation.h"

#include <algorithm>

namespace fdllm::bench {
namespace {

struct Description {
  std::string_view name, key;
  bool is_gemm;
};

constexpr std::array<Description, kOperations> kDescriptions = {{
    {"embed", "embed", false},
    {"norms", "norms", false},
    {"qkv", "qkv", true},
    {"rope + store", "rope_store", false},
    {"attention", "attention", false},
    {"attention out", "attention_out", true},
    {"gate + up", "gate_up", true},
    {"swiglu", "swiglu", false},
    {"down", "down", true},
    {"gather", "gather", false},
    {"head", "head", true},
}};

const Description& describe(Operation operation) {
  return kDescriptions[static_cast<std::size_t>(operation)];
}

template <typename Wanted>
RooflineSum sum_of(const OperationCosts& costs, const MachinePeaks& peaks, Wanted&& wanted) {
  RooflineSum sum;
  for (std::size_t i = 0; i < kOperations; ++i) {
    if (!wanted(static_cast<Operation>(i))) continue;
    sum.seconds += costs[i].seconds;
    sum.roofline += roofline_seconds(costs[i], peaks);
    sum.flops += costs[i].flops;
  }
  return sum;
}

double ratio(double amount, double rate) {
  return amount > 0 && rate > 0 ? amount / rate : 0;
}

}  // namespace

std::string_view name_of(Operation operation) {
  return describe(operation).name;
}

std::string_view key_of(Operation operation) {
  return describe(operation).key;
}

bool is_gemm(Operation operation) {
  return describe(operation).is_gemm;
}

std::string_view name_of(PeakType type) {
  switch (type) {
    case PeakType::kF32:
      return "f32";
    case PeakType::kBF16:
      return "bf16";
    case PeakType::kInt8:
      return "int8";
  }
  return "";
}

double peak_of(const MachinePeaks& peaks, PeakType type) {
  switch (type) {
    case PeakType::kF32:
      return peaks.f32;
    case PeakType::kBF16:
      return peaks.bf16;
    case PeakType::kInt8:
      return peaks.int8;
  }
  return 0;
}

double roofline_seconds(const OperationCost& cost, const MachinePeaks& peaks) {
  return std::max(ratio(cost.flops, peak_of(peaks, cost.type)),
                  ratio(cost.bytes, peaks.read_bandwidth));
}

RooflineSum gemm_roofline(const OperationCosts& costs, const MachinePeaks& peaks) {
  return sum_of(costs, peaks, is_gemm);
}

RooflineSum total_roofline(const OperationCosts& costs, const MachinePeaks& peaks) {
  return sum_of(costs, peaks, [](Operation) { return true; });
}

double compute_seconds(const OperationCosts& costs, const MachinePeaks& peaks) {
  double seconds = 0;
  for (const OperationCost& cost : costs) seconds += ratio(cost.flops, peak_of(peaks, cost.type));
  return seconds;
}

}  // namespace fdllm::bench
