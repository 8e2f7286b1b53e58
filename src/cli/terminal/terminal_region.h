#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/terminal/canvas_layout.h"

namespace fdllm::cli {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

bool is_terminal(int fd);
TerminalSize terminal_size(int fd);
/// No colours where NO_COLOR is set (https://no-color.org) or the terminal is dumb.
Colours terminal_colours();

/// Some lines at the bottom of a terminal that are repainted in place, without flicker where the
/// terminal knows synchronised updates (DEC private mode 2026).
class TerminalRegion {
 public:
  /// Whether the cursor is hidden while the region is shown; then signals must be caught.
  enum class Cursor : std::uint8_t { kHidden, kStays };

  explicit TerminalRegion(int fd, Cursor cursor = Cursor::kHidden) : fd_(fd), cursor_(cursor) {}
  TerminalRegion(const TerminalRegion&) = delete;
  TerminalRegion& operator=(const TerminalRegion&) = delete;
  ~TerminalRegion() { close(); }

  /// Replaces what the region shows. Lines must fit the terminal's width.
  void paint(const std::vector<CanvasLine>& lines);
  bool is_open() const { return open_; }
  /// Removes the region and shows the cursor again where it began.
  void close();

 private:
  std::string to_first_line() const;
  void write_all(const std::string& text) const;

  int fd_;
  Cursor cursor_;
  bool open_ = false;
  std::vector<int> widths_;  ///< columns of the lines that are on the screen
};

}  // namespace fdllm::cli
