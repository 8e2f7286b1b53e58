#pragma once
#include <cstdint>
#include <vector>

#include "fastdllm/options.h"

#include "decode/cache/plan.h"
#include "decode/unmask/family_habits.h"
#include "decode/unmask/rule.h"

namespace fdllm {

/// What decoding must know of a model; filled by the engine from its family's data.
struct DecodeTraits {
  std::int32_t mask_token = -1;
  std::vector<std::int32_t> end_tokens;
  ReferenceFamily reference = ReferenceFamily::kLlada;
  /// Ids of the vocabulary that the tokenizer has no token for (rows that fill up a matrix), which
  /// are never committed. Ascending.
  std::vector<std::int32_t> unused_tokens = {};
  /// Above 0: rows attend their own block of so many positions and all before it.
  std::int32_t causal_block = 0;
};

enum class CanvasKind : std::uint8_t {
  kContinued,  ///< gen_length masks after a prompt
  /// Holes in a text, of which gen_length counts the positions from the first hole to the end of
  /// the canvas. Blocks without holes cost nothing, and no end token ends the request, since text
  /// follows. Dream's unconditional first token of a block (GenerateOptions::correct) is for
  /// continued texts only.
  kInfilled,
};

/// A modifier that a request gives its number to.
struct GivenModifier {
  const UnmaskModifier* modifier;
  double value;
};

/// What a request's options come to for its model: defaults filled in, contradictions excluded.
struct DecodeSettings {
  /// The request's, with its preset and its defaults filled in and without what is ignored.
  GenerateOptions options;
  CanvasKind kind = CanvasKind::kContinued;
  const UnmaskRule* rule = nullptr;
  const FamilyHabits* habits = nullptr;
  std::vector<NumberValue> numbers;      ///< all that the rule takes
  std::vector<GivenModifier> modifiers;  ///< those that apply
  PlanSettings plan;
  std::int32_t gen_length = 0;
  std::int32_t block_length = 0;
  std::int32_t blocks = 0;
  std::int32_t steps = 0;                   ///< of all blocks; 0: the rule has no schedule
  double temperature = 0;                   ///< 0 where it is too small to divide by
  Measure measure = Measure::kProbability;  ///< what the rule goes by
  bool needs_distribution = false;          ///< ScoreRequest's
  bool raw_distribution = false;            ///< ScoreRequest's
  std::int32_t initial_length = 0;  ///< of the answer; less than gen_length: the canvas grows
  /// The first forward of a block commits its first position only (FamilyHabits::first_row).
  bool first_row = false;

  // Of models whose rows attend whole blocks.
  std::int32_t sub_block_length = 0;  ///< masks of so many positions are filled before the next
  bool block_cache = false;  ///< a sub-block's steps reuse the K/V of the rest of its block
  /// The pass that stores a finished block is one with the first step of the next.
  bool fuse_store = false;
  std::int32_t spare = 0;  ///< masks behind the answer that fill its last block

  /// Positions of a block of a canvas whose prompt has `prompt_length` tokens. The last block may
  /// be shorter than block_length, and so may the last before a canvas grows: those behind it are
  /// counted from there on, as the canvas grows by whole blocks.
  Range block_range(std::int32_t block, std::int32_t prompt_length) const;
  /// A block's share of `steps`: what falls on its positions when all steps are spread over the
  /// answer. At least 1; equal shares for equal blocks where the steps divide so.
  std::int32_t steps_of(std::int32_t block) const;
  /// Whether TokenEvent::confidence is the committed token's probability, so that its logarithm
  /// means something.
  bool confidence_is_probability() const;
  /// Whether random numbers are drawn: if not, requests that differ in their seed alone get the
  /// same answer.
  bool depends_on_seed() const;
};

/// Throws kInvalidArgument naming the option(s) and the conflict. `prompt_length` in tokens.
DecodeSettings resolve_settings(const GenerateOptions& options, const DecodeTraits& traits,
                                std::int32_t prompt_length,
                                CanvasKind kind = CanvasKind::kContinued);

}  // namespace fdllm
