#include <algorithm>
#include <utility>

#include "server/answer_progress.h"
#include "server/engine_text.h"

namespace fdllm::server {
namespace {

class InfillProgress : public AnswerProgress {
 public:
  InfillProgress(const Engine& engine, const PlannedAnswer& planned, std::int32_t index)
      : AnswerProgress(engine, planned, index),
        canvas_(planned.request.prompt_ids().begin(), planned.request.prompt_ids().end()),
        masked_(canvas_.size()),
        places_(planned.text->places(planned.lengths)) {
    for (const std::int32_t hole : planned.request.holes()) {
      masked_[static_cast<std::size_t>(hole)] = true;
    }
  }

  CanvasStart canvas() const override {
    CanvasStart start = AnswerProgress::canvas();
    start.prompt_tokens = 0;
    start.gen_length = static_cast<std::int32_t>(canvas_.size());
    start.block_begin = planned().request.holes().front();
    for (std::size_t i = 0; i < canvas_.size(); ++i) {
      if (masked_[i]) continue;
      start.fixed.emplace_back(
          static_cast<std::int32_t>(i),
          text_of(engine(), std::span(canvas_).subspan(i, 1), SpecialTokens::kShow));
    }
    return start;
  }

 private:
  std::string new_text(const StepEvent& event) override {
    for (const TokenEvent& token : event.committed) {
      const auto at = static_cast<std::size_t>(token.position);
      if (at >= canvas_.size()) continue;
      canvas_[at] = token.token;
      masked_[at] = false;
    }
    std::string text;
    for (; next_ < places_.size() && is_complete(places_[next_]); ++next_) {
      text += planned().text->text_of(next_, places_[next_], canvas_);
    }
    return text;
  }

  void complete(const GenerateResult& result, Choice& choice) override {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      choice.parts.push_back(planned().text->text_of(i, places_[i], result.output_ids));
      choice.text += choice.parts.back();
    }
    choice.tokens = planned().request.masks();
  }

  bool is_complete(const InfillText::Place& place) const {
    const auto begin = masked_.begin();
    return std::none_of(begin + place.begin, begin + place.end, [](bool masked) { return masked; });
  }

  std::vector<std::int32_t> canvas_;
  std::vector<bool> masked_;
  std::vector<InfillText::Place> places_;
  std::size_t next_ = 0;  ///< the first part that has not been sent
};

}  // namespace

std::unique_ptr<AnswerProgress> infill_progress(const Engine& engine, const PlannedAnswer& planned,
                                                std::int32_t index) {
  return std::make_unique<InfillProgress>(engine, planned, index);
}

}  // namespace fdllm::server
