#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "backend/peak.h"

namespace fdllm::bench {

/// The operations of a forward.
enum class Operation : std::uint8_t {
  kEmbed,
  kNorms,
  kQkv,
  kRopeStore,
  kAttention,
  kAttentionOut,
  kGateUp,
  kSwiglu,
  kDown,
  kGather,
  kHead,
};
inline constexpr std::size_t kOperations = 11;

/// "gate+up" and so on, for tables.
std::string_view name_of(Operation operation);
/// "gate_up" and so on, for JSON.
std::string_view key_of(Operation operation);
/// It multiplies by a weight matrix.
bool is_gemm(Operation operation);

/// Which of the machine's peaks an operation is held against.
enum class PeakType : std::uint8_t { kF32, kBF16, kInt8 };
std::string_view name_of(PeakType type);
double peak_of(const MachinePeaks& peaks, PeakType type);

/// What an operation did, and how long it took, in all its calls together.
struct OperationCost {
  double seconds = 0;
  std::int64_t calls = 0;
  double flops = 0;  ///< two for each multiply-add of products and attention; 0 for all others
  double bytes = 0;  ///< weights, K and V that must come from memory
  PeakType type = PeakType::kF32;
};

using OperationCosts = std::array<OperationCost, kOperations>;
inline OperationCost& cost_of(OperationCosts& costs, Operation operation) {
  return costs[static_cast<std::size_t>(operation)];
}
inline const OperationCost& cost_of(const OperationCosts& costs, Operation operation) {
  return costs[static_cast<std::size_t>(operation)];
}

/// The least time in which the machine could do it: the greater of its operations at the peak of
/// their type and its bytes at the bandwidth of memory.
double roofline_seconds(const OperationCost& cost, const MachinePeaks& peaks);

/// Sums over operations: measured, and by the roofline.
struct RooflineSum {
  double seconds = 0, roofline = 0, flops = 0;
  double ratio() const { return roofline > 0 ? seconds / roofline : 0; }
};
RooflineSum gemm_roofline(const OperationCosts& costs, const MachinePeaks& peaks);
RooflineSum total_roofline(const OperationCosts& costs, const MachinePeaks& peaks);

/// Sum of flops over the peak of their type: the seconds that arithmetic alone takes.
double compute_seconds(const OperationCosts& costs, const MachinePeaks& peaks);

}  // namespace fdllm::bench
