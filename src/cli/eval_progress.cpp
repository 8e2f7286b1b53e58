#include "cli/eval_progress.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/terminal_region.h"

namespace fdllm::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTerminalInterval = std::chrono::milliseconds(200);
constexpr auto kPlainInterval = std::chrono::seconds(15);

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::min(seconds, 1e9)));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

EvalProgress::EvalProgress(std::int64_t total, std::int64_t done)
    : terminal_(is_terminal(STDERR_FILENO)), total_(total), done_(done), start_(Clock::now()) {
  next_ = start_ + (terminal_ ? Clock::duration(kTerminalInterval) : kPlainInterval);
}

std::string EvalProgress::line(double elapsed) const {
  std::string text = fmt::format("{}/{} items", done_, total_);
  if (scored_ > 0) {
    text += fmt::format(", {:.1f} % right",
                        100 * static_cast<double>(correct_) / static_cast<double>(scored_));
  }
  text += fmt::format(", {:.1f} useful tokens/s",
                      static_cast<double>(tokens_) / std::max(elapsed, 1e-9));
  const double left = elapsed / static_cast<double>(new_) * static_cast<double>(total_ - done_);
  return text + fmt::format(", ETA {}", duration_text(left));
}

void EvalProgress::add(const eval::ItemRecord& record) {
  ++done_;
  ++new_;
  tokens_ += record.useful_tokens;
  if (record.correct) {
    ++scored_;
    correct_ += *record.correct ? 1 : 0;
  }
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? Clock::duration(kTerminalInterval) : kPlainInterval);
  const std::string text = line(std::chrono::duration<double>(now - start_).count());
  if (terminal_) {
    const auto columns = static_cast<std::size_t>(terminal_size(STDERR_FILENO).columns - 1);
    fmt::print(stderr, "\r\x1b[K{}", text.substr(0, columns));
    shown_ = true;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  std::fflush(stderr);
}

void EvalProgress::clear() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace fdllm::cli
