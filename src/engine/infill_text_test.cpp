#include "engine/infill_text.h"

#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

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
  const GenerateRequest request = text.canvas(lengths);
  EXPECT_EQ(request.prompt_ids.size(), static_cast<std::size_t>(places[3].end));
  EXPECT_EQ(request.prompt_ids[1], 6);
  EXPECT_EQ(request.holes.size(), 5u);
  EXPECT_EQ(request.holes.front(), places[1].begin);
  EXPECT_EQ(request.holes.back(), places[3].end - 1);
  for (const std::int32_t hole : request.holes) {
    EXPECT_EQ(request.prompt_ids[static_cast<std::size_t>(hole)], engine().info().mask_token);
  }
  std::vector<std::int32_t> filled = request.prompt_ids;
  const std::int32_t token = engine().tokenize("a").front();
  for (const std::int32_t hole : request.holes) filled[static_cast<std::size_t>(hole)] = token;
  EXPECT_EQ(text.text_of(0, places[0], filled), "Sam");
  EXPECT_EQ(text.text_of(1, places[1], filled), "aaa");
  EXPECT_EQ(text.text_of(3, places[3], filled), "aa");
}

TEST(InfillText, RefusesACanvasThatIsTooLong) {
  const InfillText text(engine(), parse_hole_text("a<|hole:1048576|><|hole:1048576|>", "here"), {},
                        "here");
  try {
    text.canvas(std::vector<std::int32_t>{1048576, 1048576});
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("here: the text and its holes"));
  }
}

}  // namespace
}  // namespace fdllm
