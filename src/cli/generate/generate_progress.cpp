#include "cli/generate/generate_progress.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/terminal/progress_text.h"

namespace fdllm::cli {
namespace {

std::string layer_text(const ForwardProgress& forward) {
  return fmt::format("layer {} of {}", forward.layers_done, forward.layers);
}

}  // namespace

GenerateProgress::GenerateProgress(ShowProgress show, std::vector<std::int64_t> masks)
    : line_(show), masks_(std::move(masks)), committed_(masks_.size()), ended_(masks_.size()) {}

void GenerateProgress::on_forward(const ForwardProgress& progress) {
  show(&progress);
}

void GenerateProgress::on_step(const StepEvent& event) {
  ++forwards_;
  tokens_ += std::ssize(event.committed);
  committed_[event.request] += std::ssize(event.committed);
  show(nullptr);
}

void GenerateProgress::on_result(std::size_t request) {
  committed_[request] = masks_[request];  // what an early end leaves out is not to come any more
  ended_[request] = true;
}

void GenerateProgress::show(const ForwardProgress* forward) {
  if (!line_.is_due()) return;
  line_.show(forwards_ == 0 && forward != nullptr ? first_forward(*forward) : answers(forward));
}

ProgressText GenerateProgress::first_forward(const ForwardProgress& forward) const {
  const double share = static_cast<double>(forward.layers_done) / forward.layers;
  return {.what = fmt::format("first forward, {} tokens", forward.rows),
          .share = share,
          .figures = layer_text(forward),
          .seconds_left = seconds_left(forward.seconds, share)};
}

ProgressText GenerateProgress::answers(const ForwardProgress* forward) const {
  ProgressText text;
  if (ended_.size() > 1) {
    text.what = fmt::format("{} of {} answers", std::count(ended_.begin(), ended_.end(), true),
                            ended_.size());
  } else {
    text.what = "answering";
  }
  const auto masks = std::accumulate(masks_.begin(), masks_.end(), std::int64_t{0});
  const auto done = std::accumulate(committed_.begin(), committed_.end(), std::int64_t{0});
  text.share = static_cast<double>(done) / static_cast<double>(std::max<std::int64_t>(masks, 1));
  text.figures = ended_.size() > 1 ? fmt::format("{} tokens", tokens_)
                                   : fmt::format("{} of at most {} tokens", tokens_, masks);
  text.figures += fmt::format(", {} forward{}", forwards_, forwards_ == 1 ? "" : "s");
  if (forward != nullptr) text.figures += ", " + layer_text(*forward);
  return text;
}

}  // namespace fdllm::cli
