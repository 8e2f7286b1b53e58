#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"

namespace fdllm::cpu {

/// Sums over weights of one stored type.
struct SquaredError {
  double error = 0, size = 0;
  std::int64_t weights = 0;
};

/// Converts stored rows to panels; one thread's working memory.
class PanelPacker {
 public:
  /// For matrices of `columns` columns.
  PanelPacker(const GemmKernels& kernels, std::int64_t columns);

  /// Packs 16 output columns of the stacked parts, from `first` on, to `weights` as GemmTile
  /// describes; columns past the last are zeros. `scales` [segments][16], of integer formats.
  void pack(std::span<const StoredMatrix> parts, std::int64_t first, std::byte* weights,
            float* scales) noexcept;
  /// Packs one output column of the stacked parts as a row: `weights` [K], `scales` [segments].
  void pack_row(std::span<const StoredMatrix> parts, std::int64_t row, std::byte* weights,
                float* scales) noexcept;

  /// What was packed so far, by stored type.
  const std::array<SquaredError, kDTypes.size()>& errors() const { return errors_; }

 private:
  /// A part of a row: `count` values from k on.
  struct Source {
    const StoredMatrix* part;
    std::int64_t row, k, count;
  };
  /// Where scales go: each `stride` after the one before.
  struct Scales {
    float* first;
    std::int64_t stride;
  };
  static Source find_row(std::span<const StoredMatrix> parts, std::int64_t row);
  void convert(const Source& source, std::uint32_t* words, const Scales& scales);
  void round_to_bf16(const Source& source, std::uint32_t* words);
  void quantize(const Source& source, const Scales& scales);
  void join_integers(std::int64_t words_count, std::uint32_t* words) const;
  void read(const Source& source, float* out) const;

  const GemmKernels* kernels_;
  std::int64_t columns_;
  std::int64_t chunk_;   ///< values of K that are converted at a time
  std::int64_t stride_;  ///< words from a column to the next
  std::vector<float> values_;
  std::vector<std::int8_t> integers_;
  std::vector<std::uint32_t> words_;
  std::array<SquaredError, kDTypes.size()> errors_{};
};

/// The row in which a part stores row `row` of the matrix that it stands for.
std::int64_t stored_row(const StoredMatrix& part, std::int64_t row);

}  // namespace fdllm::cpu
