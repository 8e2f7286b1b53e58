#include "bench/loss.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include "base/check.h"
#include "base/rng.h"

namespace fdllm::bench {
namespace {

/// A number in [0, bound), keyed by the sample and the index of the draw; draw 0 of sample 0 is
/// where the text's spread of masked counts starts.
std::int32_t draw_below(std::int32_t bound, const LossSettings& settings, std::int32_t text,
                        std::int32_t sample, std::uint32_t draw) {
  const double unit = uniform(settings.seed, RandomStream::kMasking, text, sample, draw);
  return std::min(static_cast<std::int32_t>(unit * bound), bound - 1);
}

void check_text(const LossText& text, std::size_t number, const ModelInfo& info) {
  if (text.answer.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "text {}: expected an answer of at least one token, found none", number);
  }
  if (text.prompt.empty() && info.logit_shift != 0) {
    fail(ErrorCode::kInvalidArgument,
         "text {}: expected at least one token before the answer: this model predicts a token from "
         "the row before it",
         number);
  }
  const std::size_t length = text.prompt.size() + text.answer.size();
  if (length > static_cast<std::size_t>(info.max_positions)) {
    fail(ErrorCode::kInvalidArgument,
         "text {}: expected at most the {} positions that the model allows, found {} tokens",
         number, info.max_positions, length);
  }
  for (const auto* tokens : {&text.prompt, &text.answer}) {
    for (const std::int32_t id : *tokens) {
      if (id < 0 || id >= info.vocab) {
        fail(ErrorCode::kInvalidArgument, "text {}: expected token ids from 0 to {}, found {}",
             number, info.vocab - 1, id);
      }
    }
  }
}

/// The end token that the chat template puts after an assistant's message.
std::optional<std::int32_t> turn_end_token(const Engine& engine) {
  const std::string content = "x";
  const ChatMessage turns[] = {{"user", content}, {"assistant", content}};
  const std::string text = engine.apply_chat_template(turns, false);
  const auto after = engine.tokenize(std::string_view(text).substr(text.rfind(content) + 1));
  const auto& ends = engine.info().end_tokens;
  const auto found = std::find_first_of(after.begin(), after.end(), ends.begin(), ends.end());
  return found == after.end() ? std::nullopt : std::optional(*found);
}

double negative_log_probability(std::span<const float> logits, std::int32_t token) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  return std::log(sum) + largest - double{logits[static_cast<std::size_t>(token)]};
}

double standard_error_of_ratio(const LossReport& report) {
  const auto count = static_cast<double>(report.texts.size());
  if (report.texts.size() < 2) return 0;
  double squares = 0;
  for (const TextLoss& text : report.texts) {
    const double residual = static_cast<double>(text.tokens) * (text.nats - report.nats);
    squares += residual * residual;
  }
  return std::sqrt(squares * count / (count - 1)) / static_cast<double>(report.tokens);
}

}  // namespace

LossText loss_text(const Engine& engine, const std::optional<std::string>& prompt,
                   const std::string& answer, const LossTextOptions& options) {
  LossText text;
  text.answer = engine.tokenize(answer);
  const bool chat = prompt && !options.raw && engine.has_chat_template();
  if (chat) {
    const ChatMessage question{"user", *prompt};
    text.prompt = engine.tokenize(engine.apply_chat_template(std::span(&question, 1)));
  } else if (prompt) {
    text.prompt = engine.tokenize(*prompt);
  } else if (!text.answer.empty()) {
    text.prompt.push_back(text.answer.front());
    text.answer.erase(text.answer.begin());
  }
  if (text.answer.empty()) {
    fail(ErrorCode::kInvalidArgument, "expected a text with at least one token to predict");
  }
  if (options.gen_length > 0) {
    const auto gen_length = static_cast<std::size_t>(options.gen_length);
    if (text.answer.size() > gen_length) {
      fail(ErrorCode::kInvalidArgument, "the answer has {} tokens, more than the gen_length of {}",
           text.answer.size(), gen_length);
    }
    const std::optional<std::int32_t> end = chat ? turn_end_token(engine) : std::nullopt;
    if (end && text.answer.size() < gen_length) text.answer.push_back(*end);
    if (!engine.info().end_tokens.empty()) {
      text.answer.resize(gen_length, engine.info().end_tokens.front());
    }
  }
  return text;
}

std::vector<std::int32_t> masked_answer_tokens(const LossSettings& settings, std::int32_t text,
                                               std::int32_t sample, std::int32_t answer_length) {
  const std::int32_t start = draw_below(answer_length, settings, text, 0, 0);
  const std::int64_t step = std::int64_t{sample} * answer_length / settings.samples;
  const auto count = static_cast<std::int32_t>((start + step) % answer_length + 1);
  std::vector<std::int32_t> order(static_cast<std::size_t>(answer_length));
  std::iota(order.begin(), order.end(), 0);
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t other = i + draw_below(answer_length - i, settings, text, sample,
                                              static_cast<std::uint32_t>(i) + 1);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
  }
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

LossReport masked_loss(Engine& engine, std::span<const LossText> texts,
                       const LossSettings& settings) {
  const ModelInfo& info = engine.info();
  if (texts.empty()) fail(ErrorCode::kInvalidArgument, "there is no text to measure the loss of");
  if (settings.samples < 1) {
    fail(ErrorCode::kInvalidArgument, "samples: expected at least 1, found {}", settings.samples);
  }
  for (std::size_t i = 0; i < texts.size(); ++i) check_text(texts[i], i, info);

  LossReport report;
  double weighted = 0;
  const auto vocab = static_cast<std::size_t>(info.vocab);
  std::vector<std::int32_t> canvas;
  for (std::size_t number = 0; number < texts.size(); ++number) {
    const LossText& text = texts[number];
    const auto length = static_cast<std::int32_t>(text.answer.size());
    TextLoss loss{length, 0};
    if (settings.on_progress) {
      settings.on_progress({"texts", static_cast<std::int64_t>(number), std::ssize(texts)});
    }
    for (std::int32_t sample = 0; sample < settings.samples; ++sample) {
      const auto masked =
          masked_answer_tokens(settings, static_cast<std::int32_t>(number), sample, length);
      canvas = text.prompt;
      canvas.insert(canvas.end(), text.answer.begin(), text.answer.end());
      for (const std::int32_t index : masked) {
        canvas[text.prompt.size() + static_cast<std::size_t>(index)] = info.mask_token;
      }
      const std::vector<float> logits = engine.logits({.canvas = canvas});
      double sum = 0;
      for (const std::int32_t index : masked) {
        const std::size_t position = text.prompt.size() + static_cast<std::size_t>(index);
        const std::size_t row = position - static_cast<std::size_t>(info.logit_shift);
        const std::span<const float> values(logits.data() + row * vocab, vocab);
        const std::int32_t token = text.answer[static_cast<std::size_t>(index)];
        sum += negative_log_probability(values, token);
        const auto likeliest = std::max_element(values.begin(), values.end()) - values.begin();
        report.right += likeliest == token;
      }
      report.masked += static_cast<std::int64_t>(masked.size());
      loss.nats += sum / static_cast<double>(masked.size()) / settings.samples;
    }
    report.tokens += length;
    weighted += length * loss.nats;
    report.texts.push_back(loss);
  }
  report.nats = weighted / static_cast<double>(report.tokens);
  report.standard_error = standard_error_of_ratio(report);
  return report;
}

}  // namespace fdllm::bench
