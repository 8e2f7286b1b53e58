#include "bench/heatmap.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "bench/chart.h"
#include "bench/svg.h"

namespace fdllm::bench {
namespace {

constexpr int kLevels = 64;
constexpr double kSide = 260, kLeft = 62, kTop = 34, kBottom = 46, kGap = 12;
constexpr double kScaleWidth = 84;

/// From dark blue over green to yellow, brighter all the way, so that it reads in grey too.
std::string colour_of(int level) {
  constexpr double kStops[][3] = {{52, 20, 90},   {58, 60, 140},  {40, 108, 142}, {32, 150, 138},
                                  {74, 190, 108}, {165, 218, 56}, {253, 231, 60}};
  const double at = static_cast<double>(level) / (kLevels - 1) * (std::size(kStops) - 1);
  const auto first = std::min(static_cast<std::size_t>(at), std::size(kStops) - 2);
  const double part = at - static_cast<double>(first);
  int channel[3];
  for (int i = 0; i < 3; ++i) {
    channel[i] = static_cast<int>(
        std::lround(kStops[first][i] + part * (kStops[first + 1][i] - kStops[first][i])));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", channel[0], channel[1], channel[2]);
}

int level_of(double value, double low) {
  const double part = std::clamp((value - low) / (1 - low), 0.0, 1.0);
  return static_cast<int>(std::lround(part * (kLevels - 1)));
}

/// Cells of one colour are one path, runs of them one rectangle: thousands of cells stay small.
void draw_cells(Svg& svg, const Heatmap& map, double left, double top, double low) {
  const std::size_t count = map.steps.size();
  std::vector<std::string> paths(kLevels);
  for (std::size_t row = 0; row < count; ++row) {
    std::size_t begin = 0;
    while (begin < count) {
      const double value = map.values[row * count + begin];
      if (!std::isfinite(value)) {
        ++begin;
        continue;
      }
      const int level = level_of(value, low);
      std::size_t end = begin + 1;
      while (end < count && std::isfinite(map.values[row * count + end]) &&
             level_of(map.values[row * count + end], low) == level) {
        ++end;
      }
      paths[static_cast<std::size_t>(level)] +=
          fmt::format("M{} {}h{}v1h-{}z", begin, count - 1 - row, end - begin, end - begin);
      begin = end;
    }
  }
  for (int level = 0; level < kLevels; ++level) {
    const std::string& path = paths[static_cast<std::size_t>(level)];
    if (!path.empty()) {
      svg.path(left, top, kSide / static_cast<double>(count), path, colour_of(level));
    }
  }
}

void draw_map(Svg& svg, const Heatmap& map, double left, double top, double low,
              const std::string& axis_label) {
  const std::size_t count = map.steps.size();
  check(map.values.size() == count * count, "a heatmap that is not a square");
  if (count > 0) draw_cells(svg, map, left, top, low);
  svg.rect(left, top, kSide, kSide, "frame");
  svg.text(left, top - 10, map.title, Anchor::kStart, "title");
  svg.text(left + kSide / 2, top + kSide + 34, axis_label, Anchor::kMiddle);
  svg.vertical_text(left - 42, top + kSide / 2, axis_label);
  for (std::size_t i = 0; i < count; i += std::max<std::size_t>(1, (count + 4) / 5)) {
    const double at = (static_cast<double>(i) + 0.5) / static_cast<double>(count) * kSide;
    const std::string label = fmt::format("{}", map.steps[i]);
    svg.text(left + at, top + kSide + 16, label, Anchor::kMiddle, "quiet");
    svg.text(left - 6, top + kSide - at + 4, label, Anchor::kEnd, "quiet");
  }
}

void draw_scale(Svg& svg, double left, double top, double low) {
  constexpr double kHeight = kSide / kLevels;
  for (int level = 0; level < kLevels; ++level) {
    svg.rect_of_colour(left, top + kSide - kHeight * (level + 1), 16, kHeight + 0.3,
                       colour_of(level));
  }
  svg.rect(left, top, 16, kSide, "frame");
  for (const double value : ticks(low, 1, 5)) {
    svg.text(left + 22, top + kSide * (1 - (value - low) / (1 - low)) + 4, short_number(value),
             Anchor::kStart, "quiet");
  }
}

}  // namespace

std::string draw_heatmaps(std::span<const Heatmap> maps, int columns, double low,
                          const std::string& axis_label) {
  check(columns > 0 && low < 1, "a heatmap without columns or range");
  const double panel_width = kLeft + kSide + kGap;
  const double panel_height = kTop + kSide + kBottom;
  const int used = std::min(columns, std::max(1, static_cast<int>(maps.size())));
  const int rows = (static_cast<int>(maps.size()) + columns - 1) / columns;
  Svg svg(panel_width * used + kScaleWidth, panel_height * std::max(rows, 1) + 4);
  for (int i = 0; i < static_cast<int>(maps.size()); ++i) {
    draw_map(svg, maps[static_cast<std::size_t>(i)], panel_width * (i % columns) + kLeft,
             panel_height * (i / columns) + kTop, low, axis_label);
  }
  draw_scale(svg, panel_width * used + 18, kTop, low);
  return svg.str();
}

}  // namespace fdllm::bench
