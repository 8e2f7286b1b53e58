#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/infill.h"

namespace fdllm {
namespace {

Engine& engine() {
  static Engine loaded =
      Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano");
  return loaded;
}

TEST(InfillText, PutsMasksWhereItsHolesAre) {
  const InfillText text(engine(), parse_hole_text("Sam<|hole:1-3|> has<|hole:2|>", "t"), {5, 6},
                        "t");
  const std::vector<std::int32_t> lengths = {3, 2};
  const auto given = static_cast<std::int32_t>(engine().tokenize("Sam").size());
  const auto places = text.places(lengths);
  ASSERT_EQ(places.size(), 4u);
  EXPECT_EQ(places[0].begin, 2);
  EXPECT_EQ(places[1].begin, 2 + given);
  EXPECT_EQ(places[1].end, 5 + given);
  const auto canvases = text.canvases({});
  ASSERT_EQ(canvases.size(), 3u);
  EXPECT_EQ(canvases[2].lengths, lengths);
  const ResolvedRequest& resolved = canvases[2].request;
  const std::vector<std::int32_t> ids(resolved.prompt_ids().begin(), resolved.prompt_ids().end());
  const std::vector<std::int32_t> holes(resolved.holes().begin(), resolved.holes().end());
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(places[3].end));
  EXPECT_EQ(ids[1], 6);
  EXPECT_EQ(holes.size(), 5u);
  EXPECT_EQ(holes.front(), places[1].begin);
  EXPECT_EQ(holes.back(), places[3].end - 1);
  for (const std::int32_t hole : holes) {
    EXPECT_EQ(ids[static_cast<std::size_t>(hole)], engine().info().mask_token);
  }
  std::vector<std::int32_t> filled = ids;
  const std::int32_t token = engine().tokenize("a").front();
  for (const std::int32_t hole : holes) filled[static_cast<std::size_t>(hole)] = token;
  EXPECT_EQ(text.text_of(0, places[0], filled), "Sam");
  EXPECT_EQ(text.text_of(1, places[1], filled), "aaa");
  EXPECT_EQ(text.text_of(3, places[3], filled), "aa");
}

TEST(InfillText, RefusesACanvasThatIsTooLong) {
  const InfillText text(engine(), parse_hole_text("a<|hole:1048576|><|hole:1048576|>", "here"), {},
                        "here");
  try {
    text.canvases({});
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("here: the text and its holes"));
  }
}

TEST(InfillText, RefusesBoundsWhereConfidencesAreNoProbabilities) {
  GenerateOptions options;
  options.rule.set("entropy_bound", 0.1);
  const InfillText one(engine(), parse_hole_text("a<|hole:2|>", "here"), {}, "here");
  one.require_comparable(one.canvases(options));
  const InfillText several(engine(), parse_hole_text("a<|hole:1-2|>", "here"), {}, "here");
  try {
    several.require_comparable(several.canvases(options));
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find("probabilities"), std::string_view::npos);
  }
}

std::vector<InfillResult> filled(const std::vector<std::string>& texts) {
  std::vector<InfillText> all;
  for (const std::string& text : texts) {
    all.emplace_back(engine(), parse_hole_text(text, "t"), std::vector<std::int32_t>(), "t");
  }
  return InfillBatch(engine(), std::move(all), {}).generate();
}

TEST(InfillBatch, TakesTheSurestLengthOfEachText) {
  const auto together = filled({"Sam has <|hole:1-3|> rocks.", "2 + 2 = <|hole:1|>"});
  ASSERT_EQ(together.size(), 2u);
  EXPECT_EQ(together[0].canvases, 3u);
  EXPECT_EQ(together[1].canvases, 1u);
  EXPECT_EQ(together[0].text, "Sam has " + together[0].holes[0].text + " rocks.");
  std::vector<InfillResult> lengths;
  for (const char* length : {"1", "2", "3"}) {
    lengths.push_back(filled({"Sam has <|hole:" + std::string(length) + "|> rocks."}).front());
  }
  const auto surest = std::ranges::max_element(lengths, {}, &InfillResult::mean_log_confidence);
  EXPECT_EQ(together[0].text, surest->text);
  EXPECT_EQ(together[0].holes[0].ids, surest->holes[0].ids);
  EXPECT_EQ(together[0].mean_log_confidence, surest->mean_log_confidence);
  EXPECT_EQ(together[1].holes.front().ids.size(), 1u);
}

TEST(InfillBatch, ATextFailsWithACanvas) {
  std::vector<InfillText> texts;
  texts.emplace_back(engine(), parse_hole_text("a<|hole:1-2|>", "t"), std::vector<std::int32_t>(),
                     "t");
  const auto results =
      InfillBatch(engine(), std::move(texts), {}).generate([](const StepEvent& event) {
        return event.request != 1;
      });
  ASSERT_TRUE(results.front().error);
  EXPECT_EQ(results.front().error->code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace fdllm
