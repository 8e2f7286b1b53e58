#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/answer_cut.h"
#include "engine/answer_stream.h"
#include "server/answer_progress.h"
#include "server/engine_text.h"

namespace fdllm::server {
namespace {

constexpr double kLeastLogprob = -9999;  // JSON has no infinity
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

AnswerStream::Settings stream_settings(const Engine& engine, const PlannedAnswer& planned) {
  return {static_cast<std::int32_t>(planned.request.prompt_ids.size()), planned.max_tokens,
          engine.info().end_tokens, planned.resolved.stop, token_bytes_of(engine)};
}

class TextProgress : public AnswerProgress {
 public:
  TextProgress(const Engine& engine, const PlannedAnswer& planned, std::int32_t index,
               bool logprobs)
      : AnswerProgress(engine, planned, index),
        stream_(stream_settings(engine, planned)),
        logprobs_(logprobs),
        confidences_(logprobs ? planned.max_tokens : 0) {}

 private:
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
    if (std::cmp_greater(ids.size(), planned().max_tokens)) {
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
    if (logprobs_) choice.logprobs = logprobs_of(ids);
    choice.text_offset = planned().before.size();
    choice.text = planned().before + choice.text;
  }

  std::vector<TokenLogprob> logprobs_of(std::span<const std::int32_t> ids) const {
    std::vector<TokenLogprob> logprobs;
    logprobs.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const double confidence = i < confidences_.size() ? confidences_[i] : 0;
      logprobs.push_back({text_of(engine(), ids.subspan(i, 1), SpecialTokens::kShow),
                          engine().token_bytes(ids[i]),
                          confidence > 0 ? std::log(confidence) : kLeastLogprob});
    }
    return logprobs;
  }

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
