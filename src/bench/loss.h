#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "bench/progress.h"

namespace fdllm::bench {

/// Tokens whose loss is measured given a prompt that is always seen; the prompt may be empty unless
/// the model shifts its logits (the row before a token predicts it).
struct LossText {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> answer;
};

struct LossSettings {
  std::int32_t samples = 8;  ///< maskings of each text
  std::uint64_t seed = 0;
  BenchListener on_progress = {};
};

/// The loss of one text, over its samples.
struct TextLoss {
  std::int64_t tokens = 0;  ///< of the answer
  double nats = 0;          ///< mean over the samples of the mean -log p of the masked tokens
};

struct LossReport {
  std::vector<TextLoss> texts;  ///< in the order they were given
  std::int64_t tokens = 0;      ///< of all answers
  std::int64_t masked = 0;      ///< masked tokens in all samples
  std::int64_t right = 0;       ///< of them, those that the model holds for the likeliest
  /// The estimate of sum(-log p(answer | prompt)) / tokens, nats: the mean of the texts' losses,
  /// each as often as it has tokens. Infinite where a token got no probability, NaN where a logit
  /// was.
  double nats = 0;
  /// Standard error of `nats` over the choice of texts; 0 for a single one.
  double standard_error = 0;
};

/// Which answer tokens (indices below `answer_length`, ascending) a sample masks. As LLaDA's
/// likelihood estimate does (Nie et al., 2025, eq. 6), it draws how many, l, uniformly from
/// 1..answer_length, and then l of them without replacement; the l of a text's samples are spread
/// evenly from a random start. Depends on nothing but its arguments, so that two models or weight
/// formats see the same maskings.
std::vector<std::int32_t> masked_answer_tokens(const LossSettings& settings, std::int32_t text,
                                               std::int32_t sample, std::int32_t answer_length);

/// How loss_text() makes tokens of a prompt and its answer.
struct LossTextOptions {
  bool raw = false;  ///< the prompt as it is, without the chat template
  /// Above 0: what follows an answer in training, up to this many tokens, belongs to it: the end
  /// token that the chat template ends a turn with, then the model's first end token repeated. A
  /// model trained on padded answers expects the padding on its canvas.
  std::int32_t gen_length = 0;
};

/// Tokens of a text. A prompt gets the model's chat template, if there is one; without a prompt the
/// first token stands for it. Throws kInvalidArgument where the answer is longer than gen_length or
/// nothing is left to measure.
LossText loss_text(const Engine& engine, const std::optional<std::string>& prompt,
                   const std::string& answer, const LossTextOptions& options);

/// LLaDA's estimate of -log p(answer | prompt): the expectation over maskings of answer_length / l
/// times the sum of -log p of the l masked tokens; per token that is their mean. Softmax over the
/// whole vocabulary, in f64. Throws kInvalidArgument for no text, an empty answer, a token outside
/// the vocabulary, a text longer than the model's positions, or samples below 1, naming the text's
/// index.
LossReport masked_loss(Engine& engine, std::span<const LossText> texts,
                       const LossSettings& settings);

}  // namespace fdllm::bench
