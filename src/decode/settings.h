#pragma once
#include <cstdint>

#include "decode/cache/plan.h"
#include "decode/decoder.h"
#include "decode/unmask/rule.h"

namespace fdllm {

/// What a request's options come to for its model: defaults filled in, contradictions excluded.
struct DecodeSettings {
  const UnmaskRule* rule = nullptr;
  PlanSettings plan;
  std::int32_t gen_length = 0;
  std::int32_t block_length = 0;
  std::int32_t blocks = 0;
  std::int32_t steps = 0;  ///< of all blocks; 0: the rule has no schedule
  double threshold = 0;    ///< 0 unless the rule takes it; so factor
  double factor = 0;
  double tokens_per_forward = 0;
  double frechet = 0;
  double entropy_bound = 0;
  double margin = 0;
  double relaxed_threshold = 0;
  double temperature = 0;  ///< 0 where it is too small to divide by; so alg_temp
  double alg_temp = 0;
  Measure measure = Measure::kProbability;  ///< what the rule goes by
  bool raw_distribution = false;            ///< ScoreRequest's
  std::int32_t initial_length = 0;  ///< of the answer; less than gen_length: the canvas grows
  /// The first forward of a block commits its first position only (UnmaskRule::first_row).
  bool first_row = false;

  /// Positions of a block of a canvas whose prompt has `prompt_length` tokens. The last block may
  /// be shorter than block_length, and so may the last before a canvas grows: those behind it are
  /// counted from there on, as the canvas grows by whole blocks.
  Range block_range(std::int32_t block, std::int32_t prompt_length) const;
  /// A block's share of `steps`: what falls on its positions when all steps are spread over the
  /// answer. At least 1; equal shares for equal blocks where the steps divide so.
  std::int32_t steps_of(std::int32_t block) const;
};

/// Throws as validate_options does.
DecodeSettings resolve_settings(const GenerateOptions& options, const DecodeTraits& traits,
                                std::int32_t prompt_length,
                                CanvasKind kind = CanvasKind::kContinued);

/// `options` with their defaults filled in, and without those that are ignored: gen_length,
/// block_length, and of alg, steps, threshold
/// and factor those that the rule takes, of refresh_radius and refresh_drift the one that the
/// refresh takes.
GenerateOptions resolved_options(GenerateOptions options, const DecodeSettings& settings);

}  // namespace fdllm
