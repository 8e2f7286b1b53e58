#include <algorithm>
#include <utility>

#include "server/answer_progress.h"
#include "server/engine_text.h"

namespace fdllm::server {
namespace {

/// A part of the text and where it lies on the canvas.
struct PlacedPart {
  std::size_t begin, end;  ///< of a hole; a given text keeps its own characters
  std::string text;
  bool is_hole;
};

class InfillProgress : public AnswerProgress {
 public:
  InfillProgress(const Engine& engine, const PlannedAnswer& planned, std::int32_t index)
      : AnswerProgress(engine, planned, index), canvas_(planned.request.prompt_ids) {
    masked_.resize(canvas_.size());
    for (const std::int32_t hole : planned.request.holes) {
      masked_[static_cast<std::size_t>(hole)] = true;
    }
    std::size_t begin = 0;
    for (const InfillPart& part : planned.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) {
        const std::size_t end = begin + engine.tokenize(*text).size();
        parts_.push_back({begin, end, *text, false});
        begin = end;
      } else {
        const std::size_t end = begin + static_cast<std::size_t>(std::get<std::int32_t>(part));
        parts_.push_back({begin, end, "", true});
        begin = end;
      }
    }
  }

  CanvasStart canvas() const override {
    CanvasStart start = AnswerProgress::canvas();
    start.prompt_tokens = 0;
    start.gen_length = static_cast<std::int32_t>(canvas_.size());
    start.block_begin = planned().request.holes.front();
    for (std::size_t i = 0; i < canvas_.size(); ++i) {
      if (masked_[i]) continue;
      start.fixed.emplace_back(
          static_cast<std::int32_t>(i),
          text_of(engine(), std::span(canvas_).subspan(i, 1), SpecialTokens::kShow));
    }
    return start;
  }

 private:
  // Positions count from the canvas's first token.
  std::int32_t answer_begin() const override { return 0; }

  std::string new_text(const StepEvent& event) override {
    for (const TokenEvent& token : event.committed) {
      const auto at = static_cast<std::size_t>(token.position);
      if (at >= canvas_.size()) continue;
      canvas_[at] = token.token;
      masked_[at] = false;
    }
    std::string text;
    for (; next_ < parts_.size() && is_complete(parts_[next_]); ++next_) {
      text += filled(parts_[next_], canvas_);
    }
    return text;
  }

  void complete(const GenerateResult& result, Choice& choice) override {
    for (const PlacedPart& part : parts_) {
      choice.parts.push_back(filled(part, result.output_ids));
      choice.text += choice.parts.back();
      if (part.is_hole) choice.tokens += static_cast<std::int64_t>(part.end - part.begin);
    }
  }

  bool is_complete(const PlacedPart& part) const {
    const auto begin = masked_.begin();
    return std::none_of(begin + static_cast<std::ptrdiff_t>(part.begin),
                        begin + static_cast<std::ptrdiff_t>(part.end),
                        [](bool masked) { return masked; });
  }

  std::string filled(const PlacedPart& part, std::span<const std::int32_t> canvas) const {
    if (!part.is_hole || part.end > canvas.size()) return part.text;
    return text_of(engine(), canvas.subspan(part.begin, part.end - part.begin),
                   SpecialTokens::kSkip);
  }

  std::vector<std::int32_t> canvas_;
  std::vector<bool> masked_;
  std::vector<PlacedPart> parts_;
  std::size_t next_ = 0;  ///< the first part that has not been sent
};

}  // namespace

std::unique_ptr<AnswerProgress> infill_progress(const Engine& engine, const PlannedAnswer& planned,
                                                std::int32_t index) {
  return std::make_unique<InfillProgress>(engine, planned, index);
}

}  // namespace fdllm::server
