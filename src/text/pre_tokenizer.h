#pragma once
#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace fdllm {

/// What a Split step does with the matches of its pattern.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Splits at a pattern.
struct SplitStep {
  Regex pattern;
  SplitBehavior behavior;
  bool invert;  ///< what lies between the matches counts as the match
};

/// Separates digits (categories Nd, Nl, No) from the rest.
struct DigitsStep {
  bool individual;  ///< each digit alone rather than runs
};

/// The last step: GPT-2's pattern where asked. Turning bytes into tokens is Bpe's.
struct ByteLevelStep {
  bool add_prefix_space;  ///< to every piece that doesn't start with a space
  bool use_regex;
};

using PreTokenizerStep = std::variant<SplitStep, DigitsStep, ByteLevelStep>;

/// The pieces of a text; `owned` holds those that are no part of it.
struct Pieces {
  std::vector<std::string_view> views;
  std::deque<std::string> owned;
};

/// Cuts text into the pieces that byte-pair encoding works on, step after step.
class PreTokenizer {
 public:
  PreTokenizer(std::vector<PreTokenizerStep> steps, std::string where);
  /// `text` is valid UTF-8 and outlives the result.
  Pieces split(std::string_view text) const;
  /// Whether every byte of a text is in one of its pieces.
  bool keeps_all() const;

 private:
  std::vector<PreTokenizerStep> steps_;
  Regex gpt2_;
};

}  // namespace fdllm
