#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fdllm::bench {

/// A number for people: four significant digits, or all before the point; no exponent between
/// 0.0001 and 10^6.
std::string short_number(double value);

enum class Anchor { kStart, kMiddle, kEnd };

/// Writes an SVG picture whose text stays text and whose colours follow the viewer's light or dark
/// scheme. Our own because no plotting library for C++ writes SVG without a GUI or Python behind
/// it, and a few shapes are all that plots need.
class Svg {
 public:
  Svg(double width, double height);

  /// `css_class` of all shapes: a class of the style sheet in svg.cpp, "s0" to "s7" for series.
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  void polyline(std::span<const std::pair<double, double>> points, std::string_view css_class);
  void rect(double x, double y, double width, double height, std::string_view css_class);
  void rect_of_colour(double x, double y, double width, double height, std::string_view colour);
  /// One of eight shapes around (x, y); a title, where given, is shown on hover.
  void mark(double x, double y, int shape, std::string_view css_class, std::string_view title = {});
  void text(double x, double y, std::string_view text, Anchor anchor,
            std::string_view css_class = "text");
  /// Text that reads upwards around its middle.
  void vertical_text(double x, double y, std::string_view text);
  /// A path in units of `scale` from (x, y).
  void path(double x, double y, double scale, std::string_view data, std::string_view colour);

  /// The whole document.
  std::string str() const;

 private:
  double width_, height_;
  std::string body_;
};

}  // namespace fdllm::bench
