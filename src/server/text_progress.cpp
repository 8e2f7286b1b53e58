#include <algorithm>
#include <cmath>
#include <utility>

#include "base/utf8.h"
#include "engine/answer_cut.h"
#include "engine/answer_stream.h"
#include "server/answer_progress.h"
#include "server/engine_text.h"

namespace fdllm::server {
namespace {

constexpr double kLeastLogprob = -9999;  // JSON has no infinity

/// An answer after a prompt, or in the middle of a text.
class TextProgress : public AnswerProgress {
 public:
  TextProgress(const Engine& engine, const PlannedAnswer& planned, std::int32_t index,
               bool logprobs)
      : AnswerProgress(engine, planned, index),
        token_bytes_(token_bytes_of(engine)),
        stream_({planned.begin, planned.max_tokens, end_tokens(), planned.stop, token_bytes_}),
        logprobs_(logprobs),
        confidences_(logprobs ? static_cast<std::size_t>(planned.max_tokens) : 0) {}

 private:
  /// Text follows a hole: what is in it doesn't end there.
  std::vector<std::int32_t> end_tokens() const {
    return planned().request.holes().empty() ? engine().info().end_tokens
                                             : std::vector<std::int32_t>();
  }

  std::string new_text(const StepEvent& event) override {
    if (logprobs_) {
      for (const TokenEvent& token : event.committed) {
        const auto at = static_cast<std::size_t>(token.position - answer_begin());
        if (at < confidences_.size()) confidences_[at] = token.confidence;
      }
    }
    std::string text = stream_.push(event);
    if (!before_sent_ && !text.empty()) {
      text = planned().before + text;
      before_sent_ = true;
    }
    return text;
  }

  void complete(const GenerateResult& result, Choice& choice) override {
    std::span<const std::int32_t> ids = result.ids;
    choice.text = result.text;
    if (!planned().request.holes().empty()) {
      ids = middle_of(result, choice);
    } else if (std::cmp_greater(ids.size(), planned().max_tokens)) {
      ids = ids.first(static_cast<std::size_t>(planned().max_tokens));
      choice.text = text_of(engine(), ids, SpecialTokens::kSkip);
      // A character that the limit cuts in two is left out.
      while (choice.text.ends_with(kReplacement)) {
        choice.text.resize(choice.text.size() - kReplacement.size());
      }
      choice.finish_reason = "length";
      choice.stop_reason.clear();
    }
    choice.tokens = static_cast<std::int64_t>(ids.size());
    choice.truncated = planned().truncated;
    choice.text = planned().before + choice.text;
    if (logprobs_) choice.logprobs = logprobs_of(ids, choice.text);
  }

  /// The tokens between prompt and suffix, up to the first that isn't there (where time ran out) or
  /// stop string.
  std::span<const std::int32_t> middle_of(const GenerateResult& result, Choice& choice) const {
    const std::span<const std::int32_t> canvas = result.output_ids;
    const auto begin = std::min(static_cast<std::size_t>(answer_begin()), canvas.size());
    std::span<const std::int32_t> ids = canvas.subspan(begin);
    ids = ids.first(std::min(static_cast<std::size_t>(planned().max_tokens), ids.size()));
    const auto mask = std::ranges::find(ids, engine().info().mask_token);
    ids = ids.first(static_cast<std::size_t>(mask - ids.begin()));
    const AnswerCut cut = cut_answer(ids, {}, planned().stop, token_bytes_);
    choice.text = cut.text;
    choice.finish_reason = cut.stopped ? "stop" : "length";
    choice.stop_string = cut.stop;
    return ids.first(cut.tokens);
  }

  std::vector<TokenLogprob> logprobs_of(std::span<const std::int32_t> ids,
                                        std::string_view text) const {
    std::vector<std::string> bytes;
    bytes.reserve(ids.size());
    for (const std::int32_t id : ids) bytes.push_back(token_bytes_(id));
    const std::vector<std::size_t> offsets = character_offsets(bytes);
    const std::size_t before = count_characters(planned().before);
    const std::size_t length = count_characters(text);
    std::vector<TokenLogprob> logprobs;
    logprobs.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const double confidence = i < confidences_.size() ? confidences_[i] : 0;
      logprobs.push_back({text_of(engine(), ids.subspan(i, 1), SpecialTokens::kShow),
                          std::move(bytes[i]),
                          confidence > 0 ? std::log(confidence) : kLeastLogprob,
                          std::min(before + offsets[i], length)});
    }
    return logprobs;
  }

  TokenBytes token_bytes_;
  AnswerStream stream_;
  bool logprobs_;
  bool before_sent_ = false;
  std::vector<double> confidences_;  ///< by position in the answer
};

}  // namespace

std::unique_ptr<AnswerProgress> text_progress(const Engine& engine, const PlannedAnswer& planned,
                                              std::int32_t index, bool logprobs) {
  return std::make_unique<TextProgress>(engine, planned, index, logprobs);
}

}  // namespace fdllm::server
