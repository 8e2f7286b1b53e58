#include "cli/terminal/progress_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <unistd.h>

#include "cli/terminal/display_text.h"

namespace fdllm::cli {
namespace {

constexpr auto kSilence = std::chrono::milliseconds(300);
constexpr auto kInterval = std::chrono::milliseconds(100);

/// A warning of another thread may remove the line while it is being written.
std::mutex g_mutex;
TerminalRegion* g_shown = nullptr;

bool can_rewrite() {
  const char* term = std::getenv("TERM");
  return is_terminal(STDERR_FILENO) && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

int width_of(const std::string& text) {
  int width = 0;
  for (const Glyph& glyph : to_glyphs(text)) width += glyph.width;
  return width;
}

}  // namespace

ProgressLine::ProgressLine(ShowProgress show)
    : live_(show == ShowProgress::kYes && can_rewrite()),
      begin_(Clock::now()),
      next_(begin_ + kSilence),
      region_(STDERR_FILENO, TerminalRegion::Cursor::kStays) {}

bool ProgressLine::is_due() const {
  return live_ && Clock::now() >= next_;
}

void ProgressLine::show(const ProgressText& progress) {
  if (is_due()) show_now(progress);
}

void ProgressLine::show_now(const ProgressText& progress) {
  if (!live_) return;
  next_ = Clock::now() + kInterval;
  std::fflush(stdout);
  // One column is left free: some terminals wrap as soon as the last one is written.
  const int columns = std::max(terminal_size(STDERR_FILENO).columns - 1, 1);
  const std::string text = progress_text(progress, columns);
  const std::lock_guard lock(g_mutex);
  g_shown = &region_;
  region_.paint({{text, width_of(text), 0, 0}});
}

void ProgressLine::clear() {
  const std::lock_guard lock(g_mutex);
  region_.close();
  if (g_shown == &region_) g_shown = nullptr;
}

double ProgressLine::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

void clear_progress() {
  const std::lock_guard lock(g_mutex);
  if (g_shown != nullptr) g_shown->close();
}

}  // namespace fdllm::cli
