#include "bench/chart.h"

#include <cmath>
#include <limits>
#include <regex>

#include <gtest/gtest.h>

#include "bench/heatmap.h"
#include "bench/svg.h"

namespace fdllm::bench {
namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(Svg, EscapesTextAndKeepsItText) {
  Svg svg(10, 20);
  svg.text(1, 2, "a < b & \"c\" \x01\x1f>", Anchor::kMiddle);
  const std::string text = svg.str();
  EXPECT_NE(text.find(">a &lt; b &amp; &quot;c&quot; &gt;</text>"), std::string::npos) << text;
  EXPECT_NE(text.find("viewBox=\"0 0 10 20\""), std::string::npos);
  EXPECT_NE(text.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(Ticks, AreRoundAndWithinTheRange) {
  EXPECT_EQ(ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(ticks(3, 3, 4), std::vector<double>{3});
  EXPECT_EQ(log_ticks(0.9, 60), (std::vector<double>{1, 2, 5, 10, 20, 50}));
  EXPECT_TRUE(log_ticks(0, 10).empty());
}

TEST(ShortNumber, HasFourDigits) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(12.34567), "12.35");
  EXPECT_EQ(short_number(250000), "250000");
  EXPECT_EQ(short_number(2.5e6), "2.500e+06");
  EXPECT_EQ(short_number(1.5e-7), "1.500e-07");
}

TEST(Chart, DrawsEveryPointThatCanBeDrawn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Chart chart{
      .title = "t",
      .x_label = "x",
      .y_label = "y",
      .log_x = true,
      .series = {
          {.name = "first", .points = {{1, 2, "one", 1.5, 2.5}, {10, 3}}, .marks = true},
          {.name = "second", .points = {{0, 1}, {nan, 1}, {5, nan}, {5, 2}}, .marks = true}}};
  const std::string svg = draw_charts(std::span(&chart, 1));
  EXPECT_EQ(count_of(svg, "<title>"), 3u);        // 0 has no place on a logarithmic axis
  EXPECT_EQ(count_of(svg, "class=\"bar\""), 1u);  // the interval
  EXPECT_EQ(count_of(svg, ">one</text>"), 1u);
  EXPECT_EQ(count_of(svg, ">first</text>") + count_of(svg, ">second</text>"), 2u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Chart, AFartherPointIsFartherRight) {
  const Chart chart{
      .title = "",
      .x_label = "",
      .y_label = "",
      .log_x = true,
      .series = {{.name = "s", .points = {{1, 0}, {10, 5}, {100, 0}}, .marks = true}}};
  const std::string svg = draw_charts(std::span(&chart, 1));
  const std::regex mark("mark\" transform=\"translate\\(([0-9.]+) ([0-9.]+)\\)[^>]*><title>");
  std::vector<std::pair<double, double>> places;
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), mark); it != std::sregex_iterator();
       ++it) {
    places.emplace_back(std::stod((*it)[1]), std::stod((*it)[2]));
  }
  ASSERT_EQ(places.size(), 3u);
  EXPECT_NEAR(places[1].first - places[0].first, places[2].first - places[1].first, 0.03);
  EXPECT_LT(places[1].second, places[0].second);  // upwards
}

TEST(Chart, WithoutPointsIsStillAPicture) {
  const Chart empty{.title = "t", .x_label = "x", .y_label = "y", .series = {}};
  EXPECT_NE(draw_charts(std::span(&empty, 1)).find("</svg>"), std::string::npos);
  EXPECT_NE(draw_charts({}).find("</svg>"), std::string::npos);
}

TEST(Heatmap, JoinsEqualCellsAndLeavesOutWhatIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Heatmap map{"m", {0, 5}, {1, 1, 0.5, nan}};
  const std::string svg = draw_heatmaps(std::span(&map, 1), 1, 0.5, "step");
  EXPECT_NE(svg.find("d=\"M0 1h2v1h-2z\""), std::string::npos);  // row 0, at the bottom, is all 1
  EXPECT_NE(svg.find("d=\"M0 0h1v1h-1z\""), std::string::npos);
  EXPECT_EQ(count_of(svg, "<path"), 2u);
  EXPECT_NE(draw_heatmaps({}, 3, 0.5, "step").find("</svg>"), std::string::npos);
}

}  // namespace
}  // namespace fdllm::bench
