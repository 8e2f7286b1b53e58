#include "cli/terminal/progress_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/terminal/display_text.h"

namespace fdllm::cli {
namespace {

constexpr int kLeastBar = 12, kMostBar = 24;  // columns, with the brackets
constexpr int kGap = 2;
constexpr double kLeastSeconds = 0.5, kLeastShare = 0.01;

int width_of(const std::vector<Glyph>& glyphs) {
  int width = 0;
  for (const Glyph& glyph : glyphs) width += glyph.width;
  return width;
}

/// The beginning of `text` that fits, with dots where something is missing.
std::string cut(std::string_view text, int columns) {
  const std::vector<Glyph> glyphs = to_glyphs(text);
  const bool fits = width_of(glyphs) <= columns;
  const std::string_view dots = columns > 6 ? "..." : "";
  const int room = fits ? columns : columns - static_cast<int>(dots.size());
  std::string result;
  int width = 0;
  for (const Glyph& glyph : glyphs) {
    if (width + glyph.width > room) break;
    result += glyph.newline ? " " : glyph.bytes;
    width += glyph.width;
  }
  return fits ? result : result + std::string(dots);
}

std::string bar(double share, int columns) {
  const int inside = columns - 2;
  const double part = std::isnan(share) ? 0 : std::clamp(share, 0.0, 1.0);
  const int done = static_cast<int>(std::floor(part * inside));
  std::string text(static_cast<std::size_t>(done), '=');
  if (done < inside) text += '>';
  text.resize(static_cast<std::size_t>(inside), ' ');
  return '[' + text + ']';
}

/// In whole seconds, since it is a guess.
std::string left_text(double seconds) {
  if (!(seconds < 59.5)) return seconds_text(seconds) + " left";
  return fmt::format("{} s left", std::max(1LL, std::llround(seconds)));
}

struct Unit {
  double size;
  const char* name;
};

Unit unit_of(std::uint64_t bytes) {
  constexpr std::array kUnits = {Unit{1e9, "GB"}, Unit{1e6, "MB"}, Unit{1e3, "kB"}};
  for (const Unit& unit : kUnits) {
    if (static_cast<double>(bytes) >= unit.size) return unit;
  }
  return {1, "bytes"};
}

std::string amount(std::uint64_t bytes, const Unit& unit) {
  return unit.size > 1 ? fmt::format("{:.1f}", static_cast<double>(bytes) / unit.size)
                       : fmt::format("{}", bytes);
}

}  // namespace

std::string progress_text(const ProgressText& progress, int columns) {
  columns = std::max(columns, 1);
  std::string left;
  if (progress.seconds_left) left = left_text(*progress.seconds_left);
  const int what = width_of(to_glyphs(progress.what));
  const auto needed = [&](std::string_view part) {
    return part.empty() ? 0 : width_of(to_glyphs(part)) + kGap;
  };
  if (what + needed(progress.figures) + needed(left) > columns) left.clear();
  std::string line = progress.what;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) line += std::string(kGap, ' ') + part;
  };
  const int room = columns - what - needed(progress.figures) - needed(left) - kGap;
  if (progress.share && room >= kLeastBar) add(bar(*progress.share, std::min(room, kMostBar)));
  // The figures change and say more than the end of a long name.
  const int for_what = columns - needed(progress.figures);
  if (for_what < what && for_what > kLeastBar) line = cut(line, for_what);
  add(progress.figures);
  add(left);
  return cut(line, columns);
}

std::string bytes_share(std::uint64_t done, std::uint64_t total) {
  const Unit unit = unit_of(total);
  return fmt::format("{} of {} {}", amount(done, unit), amount(total, unit), unit.name);
}

std::string bytes_short(std::uint64_t bytes) {
  const Unit unit = unit_of(bytes);
  return fmt::format("{} {}", amount(bytes, unit), unit.name);
}

std::string seconds_text(double seconds) {
  if (!(seconds > 0)) return "0 s";
  if (seconds < 0.095) return fmt::format("{:.2g} s", std::max(seconds, 0.001));
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(std::min(seconds, 1e9)));
  if (whole < 60) return fmt::format("{} s", whole);
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::optional<double> seconds_left(double elapsed, double share) {
  if (!(elapsed >= kLeastSeconds) || !(share >= kLeastShare)) return std::nullopt;
  return elapsed * (1 - std::min(share, 1.0)) / share;
}

}  // namespace fdllm::cli
