#include "cli/terminal/progress_text.h"

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "cli/terminal/display_text.h"

namespace fdllm::cli {
namespace {

int width_of(const std::string& text) {
  int width = 0;
  for (const Glyph& glyph : to_glyphs(text)) width += glyph.width;
  return width;
}

const ProgressText kLoading = {.what = "loading LLaDA-8B-Instruct",
                               .share = 0.2,
                               .figures = "3.2 of 16.0 GB",
                               .seconds_left = 4.0};

TEST(ProgressText, TellsEverythingWhereThereIsRoom) {
  EXPECT_EQ(progress_text(kLoading, 120),
            "loading LLaDA-8B-Instruct  [====>                 ]  3.2 of 16.0 GB  4 s left");
  EXPECT_EQ(progress_text({.what = "loading x"}, 80), "loading x");
  EXPECT_EQ(progress_text({.what = "x", .share = 0.0}, 15), "x  [>         ]");
  EXPECT_EQ(progress_text({.what = "x", .share = 1.0}, 15), "x  [==========]");
}

TEST(ProgressText, LeavesOutTheBarThenTheTimeThenTheEndOfTheName) {
  EXPECT_EQ(progress_text(kLoading, 60), "loading LLaDA-8B-Instruct  3.2 of 16.0 GB  4 s left");
  EXPECT_EQ(progress_text(kLoading, 45), "loading LLaDA-8B-Instruct  3.2 of 16.0 GB");
  EXPECT_EQ(progress_text(kLoading, 36), "loading LLaDA-8B-...  3.2 of 16.0 GB");
  EXPECT_EQ(progress_text(kLoading, 20), "loading LLaDA-8B-...");
  EXPECT_EQ(progress_text(kLoading, 5), "loadi");
}

TEST(ProgressText, NeverExceedsTheColumnsNorBreaksACharacter) {
  const ProgressText wide = {.what = "loading \xE6\xA8\xA1\xE5\x9E\x8B-\x1b[31m\n-8B",
                             .share = 0.5,
                             .figures = "8.0 of 16.0 GB",
                             .seconds_left = 3725.0};
  for (int columns = -3; columns < 130; ++columns) {
    for (const ProgressText& progress : {kLoading, wide}) {
      const std::string text = progress_text(progress, columns);
      EXPECT_LE(width_of(text), std::max(columns, 1)) << text;
      EXPECT_EQ(text.find('\x1b'), std::string::npos);
      EXPECT_EQ(text.find('\n'), std::string::npos);
      EXPECT_EQ(incomplete_suffix(text), 0U);
    }
  }
}

TEST(ProgressText, SharesThatAreNoneDrawNoMoreThanTheBar) {
  for (const double share : {-1.0, 7.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(progress_text({.what = "x", .share = share}, 40).size(), 27U);
  }
}

TEST(ProgressText, BytesHaveTheUnitOfTheTotal) {
  EXPECT_EQ(bytes_share(3'210'000'000, 16'040'000'000), "3.2 of 16.0 GB");
  EXPECT_EQ(bytes_share(3'000'000, 16'040'000'000), "0.0 of 16.0 GB");
  EXPECT_EQ(bytes_share(0, 1'900'000), "0.0 of 1.9 MB");
  EXPECT_EQ(bytes_share(1, 999), "1 of 999 bytes");
  EXPECT_EQ(bytes_short(7'100), "7.1 kB");
}

TEST(ProgressText, SecondsAreShort) {
  EXPECT_EQ(seconds_text(0), "0 s");
  EXPECT_EQ(seconds_text(-1), "0 s");
  EXPECT_EQ(seconds_text(std::nan("")), "0 s");
  EXPECT_EQ(seconds_text(0.0213), "0.021 s");
  EXPECT_EQ(seconds_text(0.097), "0.1 s");
  EXPECT_EQ(seconds_text(9.12), "9.1 s");
  EXPECT_EQ(seconds_text(9.96), "10 s");
  EXPECT_EQ(seconds_text(59.4), "59 s");
  EXPECT_EQ(seconds_text(59.6), "1:00");
  EXPECT_EQ(seconds_text(123), "2:03");
  EXPECT_EQ(seconds_text(3723), "1:02:03");
}

TEST(ProgressText, TheTimeLeftWaitsUntilItMeansSomething) {
  EXPECT_FALSE(seconds_left(0.1, 0.5));
  EXPECT_FALSE(seconds_left(10, 0));
  EXPECT_FALSE(seconds_left(10, std::nan("")));
  EXPECT_DOUBLE_EQ(*seconds_left(2, 0.25), 6);
  EXPECT_DOUBLE_EQ(*seconds_left(2, 1), 0);
  EXPECT_DOUBLE_EQ(*seconds_left(2, 1.5), 0);
}

}  // namespace
}  // namespace fdllm::cli
