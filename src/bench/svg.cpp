#include "bench/svg.h"

#include <cmath>

#include <fmt/format.h>

namespace fdllm::bench {
namespace {

constexpr std::string_view kStyle = R"(
.back { fill: #ffffff } .frame { fill: none; stroke: #8a8f98 } .grid { stroke: #e3e5e9 }
.text { fill: #1f2328 } .quiet { fill: #59636e } .bar { stroke: #8a8f98; opacity: .7 }
.title { fill: #1f2328; font-weight: 600; font-size: 14px }
.s0 { --c: #1f2328 } .s1 { --c: #0969da } .s2 { --c: #bc4c00 } .s3 { --c: #1a7f37 }
.s4 { --c: #8250df } .s5 { --c: #a40e26 } .s6 { --c: #0e7c86 } .s7 { --c: #7d6608 }
.curve { fill: none; stroke: var(--c); stroke-width: 1.6 } .mark { fill: var(--c) }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 } .frame { stroke: #7d8590 } .grid { stroke: #2a3038 }
.text, .title { fill: #e6edf3 } .quiet { fill: #9198a1 }
.s0 { --c: #e6edf3 } .s1 { --c: #58a6ff } .s2 { --c: #f0883e } .s3 { --c: #3fb950 }
.s4 { --c: #bc8cff } .s5 { --c: #ff7b72 } .s6 { --c: #39c5cf } .s7 { --c: #d4b106 }
}
)";

/// Also drops what XML 1.0 does not allow at all.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n') out += c;
    }
  }
  return out;
}

const char* name_of(Anchor anchor) {
  return anchor == Anchor::kStart ? "start" : anchor == Anchor::kMiddle ? "middle" : "end";
}

/// Around the origin.
std::string_view shape_path(int shape) {
  constexpr std::string_view kShapes[] = {
      "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
      "M-3.6-3.6h7.2v7.2h-7.2z",
      "M0-4.8L4.5 3.4h-9z",
      "M0-5L4.4 0L0 5L-4.4 0z",
      "M0 4.8L4.5-3.4h-9z",
      "M-1.4-4.6h2.8v3.2h3.2v2.8h-3.2v3.2h-2.8v-3.2h-3.2v-2.8h3.2z",
      "M-4.8 0L3.4-4.5v9z",
      "M4.8 0L-3.4-4.5v9z",
  };
  return kShapes[static_cast<unsigned>(shape) % std::size(kShapes)];
}

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e6)) return fmt::format("{:.3e}", value);
  return size >= 1e4 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

Svg::Svg(double width, double height) : width_(width), height_(height) {}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  body_ +=
      fmt::format("<line class=\"{}\" x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\"/>\n",
                  css_class, x1, y1, x2, y2);
}

void Svg::polyline(std::span<const std::pair<double, double>> points, std::string_view css_class) {
  body_ += fmt::format("<polyline class=\"{} curve\" points=\"", css_class);
  for (const auto& [x, y] : points) body_ += fmt::format("{:.2f},{:.2f} ", x, y);
  body_ += "\"/>\n";
}

void Svg::rect(double x, double y, double width, double height, std::string_view css_class) {
  body_ += fmt::format(
      "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"/>\n",
      css_class, x, y, width, height);
}

void Svg::rect_of_colour(double x, double y, double width, double height, std::string_view colour) {
  body_ += fmt::format(
      "<rect fill=\"{}\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"/>\n", colour,
      x, y, width, height);
}

void Svg::mark(double x, double y, int shape, std::string_view css_class, std::string_view title) {
  body_ += fmt::format("<path class=\"{} mark\" transform=\"translate({:.2f} {:.2f})\" d=\"{}\"",
                       css_class, x, y, shape_path(shape));
  body_ += title.empty() ? "/>\n" : fmt::format("><title>{}</title></path>\n", escaped(title));
}

void Svg::text(double x, double y, std::string_view text, Anchor anchor,
               std::string_view css_class) {
  body_ +=
      fmt::format("<text class=\"{}\" x=\"{:.2f}\" y=\"{:.2f}\" text-anchor=\"{}\">{}</text>\n",
                  css_class, x, y, name_of(anchor), escaped(text));
}

void Svg::vertical_text(double x, double y, std::string_view text) {
  body_ += fmt::format(
      "<text class=\"text\" transform=\"translate({:.2f} {:.2f}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>\n",
      x, y, escaped(text));
}

void Svg::path(double x, double y, double scale, std::string_view data, std::string_view colour) {
  body_ += fmt::format(
      "<path fill=\"{}\" shape-rendering=\"crispEdges\" transform=\"translate({:.2f} {:.2f}) "
      "scale({:.4f})\" d=\"{}\"/>\n",
      colour, x, y, scale, data);
}

std::string Svg::str() const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
      "<style>{2}</style>\n<rect class=\"back\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\"/>\n{3}</svg>\n",
      width_, height_, kStyle, body_);
}

}  // namespace fdllm::bench
