#pragma once
// Helpers of this folder's tests: the two families' traits and scores without a model.
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "decode/decoder.h"
#include "decode/unmask/lookup.h"

namespace fdllm::testing {

inline constexpr std::int32_t kMask = 99;
inline constexpr std::int32_t kEnd = 98;

inline DecodeTraits llada_traits() {
  return {.mask_token = kMask, .end_tokens = {kEnd}, .reference = ReferenceFamily::kLlada};
}

inline DecodeTraits dream_traits() {
  return {.mask_token = kMask, .end_tokens = {kEnd}, .reference = ReferenceFamily::kDream};
}

/// Blocks of 4.
inline DecodeTraits sdar_traits() {
  return {.mask_token = kMask,
          .end_tokens = {kEnd},
          .reference = ReferenceFamily::kSdar,
          .causal_block = 4};
}

/// Blocks of 16, in parts of 8.
inline DecodeTraits fast_dllm_v2_traits() {
  return {.mask_token = kMask,
          .end_tokens = {kEnd},
          .reference = ReferenceFamily::kFastDllmV2,
          .causal_block = 16};
}

inline const UnmaskRule& rule_of(std::string_view name) {
  for (const UnmaskRule* rule : unmask_rules()) {
    if (rule->name == name) return *rule;
  }
  throw std::invalid_argument("no rule " + std::string(name));
}

/// Values of numbers by their names, as a rule gets them.
inline std::vector<NumberValue> numbers_of(
    std::initializer_list<std::pair<std::string_view, double>> values) {
  std::vector<NumberValue> numbers;
  for (const auto& [name, value] : values) {
    const RuleNumber* number = find_rule_number(name);
    if (number == nullptr) throw std::invalid_argument("no number " + std::string(name));
    numbers.push_back({number, value});
  }
  return numbers;
}

/// A score whose every measure is `confidence` (entropy: as much below 1).
inline Score score_of(std::int32_t token, double confidence) {
  Score score;
  score.token = token;
  score.confidence = score.filtered_confidence = score.margin = confidence;
  score.entropy = confidence - 1;
  return score;
}

/// Candidates at positions 0, 1, ... of these confidences; position i has token i.
inline std::vector<Candidate> candidates_of(const std::vector<double>& confidences) {
  std::vector<Candidate> result;
  for (const double confidence : confidences) {
    const auto i = static_cast<std::int32_t>(result.size());
    result.push_back({i, i, confidence});
  }
  return result;
}

inline std::vector<std::int32_t> positions_of(std::span<const Candidate> candidates) {
  std::vector<std::int32_t> result;
  for (const Candidate& candidate : candidates) result.push_back(candidate.position);
  return result;
}

/// One forward of a run: what was asked, and what came of it.
struct Forward {
  DecodeStep step;
  StepEvent event;
};

using Scorer = std::function<Score(const ScoreRequest&)>;

inline Decoder make_decoder(Canvas canvas, const GenerateOptions& options,
                            const DecodeTraits& traits, CanvasKind kind = CanvasKind::kContinued) {
  DecodeSettings settings = resolve_settings(options, traits, canvas.prompt_length(), kind);
  if (settings.spare > 0) {
    const auto prompt = canvas.tokens().first(canvas.prompt_length());
    canvas = Canvas(std::vector<std::int32_t>(prompt.begin(), prompt.end()), canvas.gen_length(),
                    traits.mask_token, settings.spare);
  }
  return Decoder(std::move(canvas), std::move(settings), traits);
}

inline Decoder make_decoder(const GenerateOptions& options, const DecodeTraits& traits,
                            std::int32_t prompt_length) {
  const std::vector<std::int32_t> prompt(static_cast<std::size_t>(prompt_length), 1);
  return make_decoder(
      Canvas(prompt, options.gen_length.value_or(kDefaultGenLength), traits.mask_token), options,
      traits);
}

/// Runs a request to its end; fails the test after more forwards than the canvas has positions.
inline std::vector<Forward> run(Decoder& decoder, const Scorer& scorer) {
  std::vector<Forward> forwards;
  while (const auto step = decoder.next()) {
    std::vector<Score> scores;
    for (const ScoreRequest& request : step->scores) scores.push_back(scorer(request));
    forwards.push_back({*step, decoder.advance(scores)});
    if (static_cast<std::int32_t>(forwards.size()) > decoder.canvas().gen_length()) {
      ADD_FAILURE() << "does not end";
      break;
    }
  }
  return forwards;
}

/// Random tokens (never the mask, rarely the end) with confidences spread over [0, 1).
inline Scorer random_scorer(std::uint64_t seed) {
  return [generator = std::mt19937_64(seed)](const ScoreRequest&) mutable {
    std::uniform_real_distribution<double> unit(0, 1);
    Score score;
    score.token = std::uniform_int_distribution<std::int32_t>(0, kEnd)(generator);
    // The powers make both low and high confidences common.
    const double u = unit(generator);
    score.confidence = unit(generator) < 0.5 ? u : 1 - u * u * u * 0.2;
    score.filtered_confidence = unit(generator);
    score.margin = score.filtered_confidence * unit(generator);
    score.entropy = -3 * unit(generator);
    return score;
  };
}

/// Expects kInvalidArgument whose message has all of `words`.
inline void expect_refused(const std::function<void()>& call,
                           const std::vector<std::string>& words) {
  try {
    call();
    ADD_FAILURE() << "accepted, but expected an error about " << words.front();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    for (const std::string& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "'" << word << "' is missing in: " << error.what();
    }
  }
}

}  // namespace fdllm::testing
