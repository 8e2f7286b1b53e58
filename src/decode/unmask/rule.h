#pragma once
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "backend/score.h"
#include "base/range.h"

namespace fdllm {

/// One scored position as a rule sees it.
struct Candidate {
  std::int32_t position = 0;
  std::int32_t token = -1;
  double confidence = 0;  ///< the rule's own measure, or a random number with `remasking` random
};

/// All that a rule may depend on besides its candidates.
struct UnmaskContext {
  std::span<const std::int32_t> masked;  ///< still masked positions of the live block, ascending
  Range query = {};                      ///< from the forward's first query row to its last
  std::int32_t initial_masked = 0;       ///< how many there were when the block began
  std::int32_t index = 0;                ///< 0-based step within the block, skipped steps included
  std::int32_t steps = 0;                ///< steps of the block's schedule; 0: it has none
  double threshold = 0;
  double factor = 0;
  double tokens_per_forward = 0;
  double frechet = 0;
  double entropy_bound = 0;
  double margin = 0;
  double relaxed_threshold = 0;
  double alg_temp = 0;
  std::uint64_t seed = 0;
  std::int32_t step = 0;  ///< the request's own step, skipped steps included: keys random numbers
  bool correct = false;   ///< without the reference's quirks

  std::int32_t masked_count() const { return static_cast<std::int32_t>(masked.size()); }
};

/// The options of GenerateOptions that only some rules take.
enum class RuleOption : std::uint8_t {
  kSteps,
  kThreshold,
  kFactor,
  kTokensPerForward,
  kFrechet,
  kEntropyBound,
  kMargin,
  kRelaxedThreshold,
  kAlg,
  kAlgTemp,
  kRemasking,
  kCfgScale,
};

/// What of a score a rule goes by.
enum class Measure : std::uint8_t {
  kProbability,          ///< Score::confidence
  kFilteredProbability,  ///< Score::filtered_confidence
  kMargin,
  kEntropy,
};
inline bool is_of_distribution(Measure measure) {
  return measure == Measure::kMargin || measure == Measure::kEntropy;
}
double measured(Measure measure, const Score& score);

class OptionSet {
 public:
  constexpr OptionSet(std::initializer_list<RuleOption> options) {
    for (const RuleOption option : options) bits_ |= 1u << static_cast<unsigned>(option);
  }
  constexpr OptionSet with(RuleOption option) const {
    OptionSet result = *this;
    result.bits_ |= 1u << static_cast<unsigned>(option);
    return result;
  }
  constexpr bool has(RuleOption option) const {
    return (bits_ >> static_cast<unsigned>(option) & 1u) != 0;
  }

 private:
  std::uint32_t bits_ = 0;
};

/// Which masked positions are committed after a forward. A rule is data and pure functions; the
/// decoder reads what it needs from here and knows no rule by name.
struct UnmaskRule {
  std::string_view name;
  std::string_view summary;
  /// The option whose presence picks this rule; kAlg: by its name.
  RuleOption chosen_by;
  OptionSet uncached;  ///< the options it takes with cache none
  OptionSet cached;    ///< the options it takes with any other cache
  Sampling noise;      ///< how tokens are drawn at a temperature above 0
  /// Without a cache it has no blocks: it chooses among all masked positions of the canvas.
  bool whole_canvas = false;
  /// With a cache and the reference's quirks, the first forward of a block commits just the
  /// block's first position, whatever its score.
  bool first_row = false;

  Measure measure;  ///< as the reference has it
  /// It compares its measure with a bar, rather than to others. Confidence::kRaw then takes it from
  /// the raw logits.
  bool has_bar = false;
  /// How many positions this step may commit; 0: the step needs no forward. It doesn't depend on
  /// scores. In the last step of a schedule it is all that is left.
  std::int32_t (*quota)(const UnmaskContext& context);
  /// The candidates to commit, in commit order: at least one if the quota and the candidates
  /// (position ascending, confidences finite) allow one.
  std::vector<Candidate> (*select)(const UnmaskContext& context,
                                   std::span<const Candidate> candidates);
};

}  // namespace fdllm
