#include "decode/unmask/family_habits.h"

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
  return family == ReferenceFamily::kDream ? kDream : kLlada;
}

}  // namespace fdllm
