#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/sampling.h"
#include "backend/cpu/workers.h"

namespace fdllm::cpu {

/// The head of Backend::head_scores: the LM head's product in chunks of the vocabulary, each
/// reduced to a few numbers a row while it is in cache.
class Head {
 public:
  void scores(const Workers& workers, const PackedMatrix& head, const float* x,
              std::span<const HeadRow> rows, std::span<Score> scores);

 private:
  /// What one chunk of the vocabulary tells about one row.
  struct Partial {
    float maximum = 0;        ///< largest logit
    double sum = 0;           ///< sum exp(l - maximum)
    double filtered_sum = 0;  ///< sum exp((l - maximum) / temperature)
    Pick pick;
    bool finite = true;
  };
  /// Rows of x behind a head row's logits, as rows of the packed block; unconditional -1: none.
  struct Source {
    std::int32_t row, unconditional;
  };

  /// `logits`, of which the first is that of token `first`; those without weight are overwritten.
  static Partial reduced(const KernelTable& kernels, const ScoreRequest& request,
                         std::span<float> logits, std::int64_t first) noexcept;
  static Score merged(const ScoreRequest& request, std::span<const Partial> partials) noexcept;
  /// Packs the hidden rows that rows [begin, end) of `rows` need and notes where they went.
  void gather(const PackedMatrix& head, const float* x, std::span<const HeadRow> rows);
  void score_streamed(const Workers& workers, const PackedMatrix& head,
                      std::span<const HeadRow> rows, std::span<Score*> scores);
  void score_whole(const Workers& workers, const PackedMatrix& head, std::span<const HeadRow> rows,
                   std::span<Score*> scores);

  PackedRows packed_;
  std::vector<const float*> hidden_;  ///< the packed block's rows
  std::vector<Source> sources_;
  std::vector<Partial> partials_;          ///< [row][chunk]
  std::vector<HostMemory> thread_logits_;  ///< of each thread: [packed rows][chunk]
  HostMemory whole_logits_;                ///< [packed rows][V]
  std::vector<Candidates> candidates_;     ///< of each thread
};

}  // namespace fdllm::cpu
