#include "cli/eval/eval_progress.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

namespace fdllm::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPlainInterval = std::chrono::seconds(15);
constexpr int kPlainColumns = 120;

}  // namespace

EvalProgress::EvalProgress(ShowProgress show, std::int64_t total, std::int64_t done)
    : show_(show), shown_(show), total_(total), done_(done), next_(Clock::now() + kPlainInterval) {}

ProgressText EvalProgress::text() const {
  ProgressText text;
  text.what = fmt::format("{}/{} items", done_, total_);
  text.share = static_cast<double>(done_) / static_cast<double>(std::max<std::int64_t>(total_, 1));
  if (new_ == 0) return text;
  const double elapsed = shown_.seconds();
  text.figures = fmt::format("{:.1f} % right, {:.1f} useful tokens/s",
                             100 * static_cast<double>(correct_) / static_cast<double>(new_),
                             static_cast<double>(tokens_) / std::max(elapsed, 1e-9));
  text.seconds_left = elapsed / static_cast<double>(new_) * static_cast<double>(total_ - done_);
  return text;
}

void EvalProgress::add(const eval::ItemRecord& record) {
  ++done_;
  ++new_;
  tokens_ += record.useful_tokens;
  correct_ += record.correct ? 1 : 0;
  shown_.show(text());
  const auto now = Clock::now();
  if (shown_.is_live() || show_ == ShowProgress::kNo || now < next_) return;
  next_ = now + kPlainInterval;
  fmt::print(stderr, "{}\n", progress_text(text_without_bar(), kPlainColumns));
  std::fflush(stderr);
}

void EvalProgress::forward(const ForwardProgress& progress) {
  ProgressText with_layers = text();
  with_layers.figures += fmt::format("{}layer {} of {}", with_layers.figures.empty() ? "" : ", ",
                                     progress.layers_done, progress.layers);
  shown_.show(with_layers);
}

ProgressText EvalProgress::text_without_bar() const {
  ProgressText plain = text();
  plain.share.reset();
  return plain;
}

}  // namespace fdllm::cli
