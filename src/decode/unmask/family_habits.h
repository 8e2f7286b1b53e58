#pragma once
#include "backend/score.h"
#include "decode/unmask/rule.h"
#include "model/reference_family.h"

namespace fdllm {

/// What the implementation that a family's models are decoded like does with every rule.
struct FamilyHabits {
  Sampling noise;       ///< how tokens are drawn at a temperature above 0
  Measure probability;  ///< what stands for Measure::kProbability
  /// Without a cache there are no blocks: rules choose among all masked positions of the canvas.
  bool whole_canvas = false;
  /// With a cache, the first forward of a block commits just the block's first position, whatever
  /// its score.
  bool first_row = false;
  /// Models that attend whole blocks: a block's first token comes from the last row of the one
  /// before it, as the model predicts each token one position early.
  bool seeds_blocks = false;
  /// GenerateOptions::sub_block_length where it isn't given; 0: blocks have no parts.
  std::int32_t sub_block_length = 0;
  bool guidance = false;           ///< GenerateOptions::cfg_scale
  bool random_confidence = false;  ///< Remasking::kRandom
};

const FamilyHabits& habits_of(ReferenceFamily family);

}  // namespace fdllm
