#include "cli/terminal/terminal_region.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/interrupt.h"

namespace fdllm::cli {
namespace {

constexpr const char* kBeginUpdate = "\x1b[?2026h";
constexpr const char* kEndUpdate = "\x1b[?2026l";
constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kClearLine = "\x1b[K";
constexpr const char* kClearBelow = "\x1b[J";

}  // namespace

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

TerminalSize terminal_size(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

Colours terminal_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool none = (no_color != nullptr && *no_color != '\0') ||
                    (term != nullptr && std::strcmp(term, "dumb") == 0);
  return none ? Colours::kNone : Colours::k256;
}

void TerminalRegion::paint(const std::vector<CanvasLine>& lines) {
  std::string frame = kBeginUpdate;
  if (!open_) {
    if (cursor_ == Cursor::kHidden) {
      note_cursor_hidden(fd_);
      frame += kHideCursor;
    }
    open_ = true;
  }
  frame += to_first_line();
  widths_.clear();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) frame += "\r\n";
    frame += lines[i].text;
    frame += kClearLine;
    widths_.push_back(lines[i].width);
  }
  frame += kClearBelow;
  frame += kEndUpdate;
  write_all(frame);
}

void TerminalRegion::close() {
  if (!open_) return;
  write_all(to_first_line() + kClearBelow);
  if (cursor_ == Cursor::kHidden) {
    write_all(kShowCursor);
    note_cursor_shown();
  }
  open_ = false;
  widths_.clear();
}

std::string TerminalRegion::to_first_line() const {
  // A terminal made narrower since has wrapped the lines anew.
  const int columns = std::max(terminal_size(fd_).columns, 1);
  int rows = 0;
  for (const int width : widths_) rows += std::max(1, (width + columns - 1) / columns);
  return rows > 1 ? fmt::format("\r\x1b[{}A", rows - 1) : "\r";
}

void TerminalRegion::write_all(const std::string& text) const {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(fd_, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR && errno != EAGAIN) return;
    if (written > 0) done += static_cast<std::size_t>(written);
  }
}

}  // namespace fdllm::cli
