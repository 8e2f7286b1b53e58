#include "decode/unmask/family_habits.h"

#include "base/check.h"

namespace fdllm {

const FamilyHabits& habits_of(ReferenceFamily family) {
  static constexpr FamilyHabits kLlada = {.noise = Sampling::kGumbel,
                                          .probability = Measure::kProbability,
                                          .guidance = true,
                                          .random_confidence = true};
  static constexpr FamilyHabits kDream = {.noise = Sampling::kCategorical,
                                          .probability = Measure::kFilteredProbability,
                                          .whole_canvas = true,
                                          .first_row = true};
  static constexpr FamilyHabits kSdar = {.noise = Sampling::kCategorical,
                                         .probability = Measure::kFilteredProbability};
  static constexpr FamilyHabits kFastDllmV2 = {.noise = Sampling::kCategorical,
                                               .probability = Measure::kFilteredProbability,
                                               .seeds_blocks = true,
                                               .sub_block_length = 8};
  switch (family) {
    case ReferenceFamily::kLlada:
      return kLlada;
    case ReferenceFamily::kDream:
      return kDream;
    case ReferenceFamily::kSdar:
      return kSdar;
    case ReferenceFamily::kFastDllmV2:
      return kFastDllmV2;
  }
  fail(ErrorCode::kInternal, "a family without habits");
}

}  // namespace fdllm
