#include "bench/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "bench/svg.h"

namespace fdllm::bench {
namespace {

constexpr double kPlotWidth = 520, kPlotHeight = 340;
constexpr double kLeft = 62, kTop = 34, kRight = 22, kBottom = 48;
constexpr double kLegendRow = 18;
constexpr double kLetter = 6.3;  ///< about the width of a letter of 12 px
constexpr double kLetterHeight = 13;

struct Box {
  double x, y, width, height;
  bool overlaps(const Box& other) const {
    return x < other.x + other.width && other.x < x + width && y < other.y + other.height &&
           other.y < y + height;
  }
};

bool is_drawn(const Chart& chart, const ChartPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!chart.log_x || point.x > 0);
}

/// From values to places.
struct Axes {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = x_low, y_high = -x_low;
  bool log_x = false;
  double left = 0, top = 0;

  explicit Axes(const Chart& chart) : log_x(chart.log_x) {
    for (const ChartSeries& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        if (!is_drawn(chart, point)) continue;
        x_low = std::min(x_low, point.x);
        x_high = std::max(x_high, point.x);
        y_low = std::min({y_low, point.y, point.low.value_or(point.y)});
        y_high = std::max({y_high, point.y, point.high.value_or(point.y)});
      }
    }
    if (!(x_low <= x_high)) {  // nothing to draw
      x_low = 1;
      x_high = 10;
      y_low = 0;
      y_high = 1;
    }
    if (log_x) {
      x_low /= 1.3;
      x_high *= 2.2;  // room for labels
    } else if (x_low == x_high) {
      x_low -= 0.5;
      x_high += 0.5;
    }
    const double margin = y_high > y_low ? 0.06 * (y_high - y_low) : 0.5;
    y_low = chart.y_low.value_or(y_low - margin);
    y_high = chart.y_high.value_or(y_high + margin);
    if (!(y_high > y_low)) y_high = y_low + 1;
  }
  double x(double value) const {
    const double part = log_x ? std::log(value / x_low) / std::log(x_high / x_low)
                              : (value - x_low) / (x_high - x_low);
    return left + part * kPlotWidth;
  }
  double y(double value) const {
    return top + (1 - std::clamp((value - y_low) / (y_high - y_low), 0.0, 1.0)) * kPlotHeight;
  }
};

void draw_axes(Svg& svg, const Chart& chart, const Axes& axes) {
  const double bottom = axes.top + kPlotHeight;
  for (const double value :
       axes.log_x ? log_ticks(axes.x_low, axes.x_high) : ticks(axes.x_low, axes.x_high, 7)) {
    svg.line(axes.x(value), axes.top, axes.x(value), bottom, "grid");
    svg.text(axes.x(value), bottom + 16, short_number(value), Anchor::kMiddle, "quiet");
  }
  for (const double value : ticks(axes.y_low, axes.y_high, 6)) {
    svg.line(axes.left, axes.y(value), axes.left + kPlotWidth, axes.y(value), "grid");
    svg.text(axes.left - 6, axes.y(value) + 4, short_number(value), Anchor::kEnd, "quiet");
  }
  svg.rect(axes.left, axes.top, kPlotWidth, kPlotHeight, "frame");
  svg.text(axes.left, axes.top - 12, chart.title, Anchor::kStart, "title");
  svg.text(axes.left + kPlotWidth / 2, bottom + 36, chart.x_label, Anchor::kMiddle);
  svg.vertical_text(axes.left - 46, axes.top + kPlotHeight / 2, chart.y_label);
}

/// Where a label collides with nothing that `taken` holds, the nearest such place.
void draw_label(Svg& svg, double x, double y, const std::string& label, const Axes& axes,
                std::vector<Box>& taken) {
  const double width = kLetter * static_cast<double>(label.size());
  const Box plot{axes.left, axes.top, kPlotWidth, kPlotHeight};
  Box best{x + 8, y - 6, width, kLetterHeight};
  for (int distance = 0; distance < 12; ++distance) {
    bool found = false;
    for (const double sign : {-1.0, 1.0}) {
      for (const double side : {x + 8, x - 8 - width, x - width / 2}) {
        const double shift = (side == x - width / 2 ? 14 : 0) + 7 * distance;
        const Box box{side, y - 6 + sign * shift, width, kLetterHeight};
        const bool inside = box.x >= plot.x && box.x + box.width <= plot.x + plot.width &&
                            box.y >= plot.y && box.y + box.height <= plot.y + plot.height;
        const bool free = std::none_of(taken.begin(), taken.end(),
                                       [&](const Box& other) { return box.overlaps(other); });
        if (!inside || !free) continue;
        best = box;
        found = true;
        break;
      }
      if (found) break;
    }
    if (found) break;
  }
  taken.push_back(best);
  svg.text(best.x, best.y + 10, label, Anchor::kStart, "quiet");
}

void draw_series(Svg& svg, const Chart& chart, const Axes& axes) {
  std::vector<Box> taken;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (series.marks && is_drawn(chart, point)) {
        taken.push_back({axes.x(point.x) - 5, axes.y(point.y) - 5, 10, 10});
      }
    }
  }
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    const std::string css_class = fmt::format("s{}", i % 8);
    std::vector<std::pair<double, double>> places;
    for (const ChartPoint& point : series.points) {
      if (!is_drawn(chart, point)) continue;
      places.emplace_back(axes.x(point.x), axes.y(point.y));
      if (point.low && point.high) {
        svg.line(axes.x(point.x), axes.y(*point.low), axes.x(point.x), axes.y(*point.high), "bar");
      }
    }
    if (series.curve && places.size() > 1) svg.polyline(places, css_class);
    if (!series.marks) continue;
    for (const ChartPoint& point : series.points) {
      if (!is_drawn(chart, point)) continue;
      const std::string& name = point.label.empty() ? series.name : point.label;
      svg.mark(axes.x(point.x), axes.y(point.y), static_cast<int>(i), css_class,
               fmt::format("{}: {}, {}", name, short_number(point.x), short_number(point.y)));
    }
  }
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (point.label.empty() || !is_drawn(chart, point)) continue;
      draw_label(svg, axes.x(point.x), axes.y(point.y), point.label, axes, taken);
    }
  }
}

struct LegendEntry {
  double x, y;
};

/// Places of the legend's entries in rows of `width`; relative to its corner.
std::vector<LegendEntry> legend_places(const Chart& chart, double width) {
  std::vector<LegendEntry> entries;
  double x = 0, y = 0;
  for (const ChartSeries& series : chart.series) {
    const double wanted = 44 + kLetter * static_cast<double>(series.name.size());
    if (x > 0 && x + wanted > width) {
      x = 0;
      y += kLegendRow;
    }
    entries.push_back({x, y});
    x += wanted;
  }
  return entries;
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / std::max(count, 1);
  if (!(raw > 0) || !std::isfinite(raw)) return {low};
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> values;
  for (double i = std::ceil(low / step); i * step <= high + 1e-9 * step; ++i) {
    values.push_back(i * step);
  }
  return values;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> values;
  if (!(low > 0) || !std::isfinite(high)) return values;
  for (double power = std::pow(10.0, std::floor(std::log10(low))); power <= high; power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor * power >= low && factor * power <= high) values.push_back(factor * power);
    }
  }
  return values;
}

std::string draw_charts(std::span<const Chart> charts) {
  const double panel = kLeft + kPlotWidth + kRight;
  const double width = panel * static_cast<double>(std::max<std::size_t>(charts.size(), 1));
  std::vector<LegendEntry> legend;
  if (!charts.empty()) legend = legend_places(charts.front(), width - kLeft - kRight);
  const double legend_height = legend.empty() ? 0 : legend.back().y + kLegendRow;
  Svg svg(width, kTop + kPlotHeight + kBottom + legend_height + 6);
  for (std::size_t i = 0; i < charts.size(); ++i) {
    Axes axes(charts[i]);
    axes.left = panel * static_cast<double>(i) + kLeft;
    axes.top = kTop;
    draw_axes(svg, charts[i], axes);
    draw_series(svg, charts[i], axes);
  }
  for (std::size_t i = 0; i < legend.size(); ++i) {
    const ChartSeries& series = charts.front().series[i];
    const double x = kLeft + legend[i].x;
    const double y = kTop + kPlotHeight + kBottom + 10 + legend[i].y;
    const std::string css_class = fmt::format("s{}", i % 8);
    const std::pair<double, double> ends[] = {{x, y}, {x + 20, y}};
    if (series.curve) svg.polyline(ends, css_class);
    if (series.marks) svg.mark(x + 10, y, static_cast<int>(i), css_class);
    svg.text(x + 26, y + 4, series.name, Anchor::kStart);
  }
  return svg.str();
}

}  // namespace fdllm::bench
