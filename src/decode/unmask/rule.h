#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fastdllm/options.h"

#include "backend/score.h"
#include "base/range.h"
#include "model/reference_family.h"

namespace fdllm {

/// One scored position as a rule sees it.
struct Candidate {
  std::int32_t position = 0;
  std::int32_t token = -1;
  double confidence = 0;  ///< the rule's own measure, or a random number with `remasking` random
};

/// A number that a request may give to unmask rules. It is declared once, in the file of the rule
/// that it chooses; command line, JSON, HTTP, help and results know it from here.
struct RuleNumber {
  std::string_view name;        ///< "tokens_per_forward"
  std::string_view value_name;  ///< for help: "X"
  std::string_view help;
  NumberRange range = {};
  /// Its value where a rule takes it and the request doesn't give it. None: it chooses its rule, so
  /// that it is always given.
  std::optional<double> otherwise = {};
  const RuleNumber* at_most = nullptr;  ///< it is no greater than that other number of its rule
  double used_from = 0;                 ///< smaller values mean 0, as if it were not given
  bool whole = false;                   ///< no fractions
  bool common = false;                  ///< most people need it
};

struct NumberValue {
  const RuleNumber* number;
  double value;
};

/// The value of one of these. It being missing is a broken invariant (kInternal).
double value_of(const RuleNumber& number, std::span<const NumberValue> values);

/// All that a rule may depend on besides its candidates.
struct UnmaskContext {
  std::span<const std::int32_t> masked;       ///< still masked positions of the live block
  std::span<const NumberValue> numbers = {};  ///< those that the rule takes
  Range query = {};                           ///< from the forward's first query row to its last
  std::int32_t block_length = 0;              ///< positions of the live block
  std::int32_t initial_masked = 0;            ///< how many there were when the block began
  std::int32_t index = 0;  ///< 0-based step within the block, skipped steps included
  std::int32_t steps = 0;  ///< steps of the block's schedule; 0: it has none
  std::uint64_t seed = 0;
  std::int32_t step = 0;  ///< the request's own step, skipped steps included: keys random numbers
  bool correct = false;   ///< without the reference's quirks

  std::int32_t masked_count() const { return static_cast<std::int32_t>(masked.size()); }
  double number(const RuleNumber& of) const { return value_of(of, numbers); }
};

/// What of a score a rule goes by.
enum class Measure : std::uint8_t {
  kProbability,          ///< Score::confidence
  kFilteredProbability,  ///< Score::filtered_confidence
  kMargin,
  kEntropy,  ///< Score::entropy, which is negative: the less certain, the lower
};
inline bool is_of_distribution(Measure measure) {
  return measure == Measure::kMargin || measure == Measure::kEntropy;
}
double measured(Measure measure, const Score& score);

/// Whether a rule spreads its commits over a number of steps (`steps`).
enum class Schedule : std::uint8_t { kNone, kUncached, kAlways };

/// Which masked positions are committed after a forward. A rule is data and pure functions; the
/// decoder reads what it needs from here and knows no rule by name.
struct UnmaskRule {
  std::string_view name;
  std::string_view summary;
  /// The family whose reference's own it is; none: it serves all.
  std::optional<ReferenceFamily> only_for = {};
  /// The number whose presence picks this rule; nullptr: it is picked by its name (`alg`).
  const RuleNumber* chosen_by = nullptr;
  std::span<const RuleNumber* const> numbers = {};  ///< others that it takes
  Schedule schedule = Schedule::kNone;
  Measure measure = Measure::kProbability;  ///< kProbability: as the family's reference has it
  /// It compares its measure with a bar, rather than to others. Confidence::kRaw then takes it from
  /// the raw logits.
  bool has_bar = false;
  /// Whether it draws random numbers with these values.
  bool (*draws)(std::span<const NumberValue> numbers) = nullptr;
  /// How many positions this step may commit; 0: the step needs no forward. It doesn't depend on
  /// scores. In the last step of a schedule it is all that is left.
  std::int32_t (*quota)(const UnmaskContext& context) = nullptr;
  /// The candidates to commit, in commit order: at least one if the quota and the candidates
  /// (position ascending, confidences finite) allow one.
  std::vector<Candidate> (*select)(const UnmaskContext& context,
                                   std::span<const Candidate> candidates) = nullptr;
};

/// What a number of its own adds to any rule.
struct UnmaskModifier {
  const RuleNumber* number;         ///< it holds where this is given
  bool needs_distribution = false;  ///< it reads Score::margin or Score::entropy
  /// Whether all scored positions are committed, whatever the rule says.
  bool (*commits_all)(std::span<const Score> scores, double value);
};

}  // namespace fdllm
