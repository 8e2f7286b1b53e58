#include "engine/presets.h"

#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

using Sets = std::vector<std::pair<const char*, const char*>>;

GenerateOptions options_of(const Sets& sets) {
  GenerateOptions options;
  for (const auto& [name, value] : sets) find_generate_option(name)->set(options, value);
  return options;
}

/// All values as text, so that options can be compared.
std::vector<std::string> texts(const GenerateOptions& options) {
  std::vector<std::string> result;
  for (const GenerateOption& option : generate_options()) {
    result.push_back(option.text(options).value_or("-"));
  }
  return result;
}

TEST(Presets, PutTheirValuesThere) {
  for (const Preset& preset : presets()) {
    GenerateOptions options;
    find_generate_option("preset")->set(options, preset.name);
    EXPECT_EQ(options.preset, preset.name);
    EXPECT_FALSE(preset.values.empty());
    for (const Preset::Value& value : preset.values) {
      EXPECT_EQ(find_generate_option(value.option)->text(options), value.value) << preset.name;
    }
  }
}

TEST(Presets, AreThoseThatTheOptionNames) {
  std::string names;
  for (const Preset& preset : presets()) {
    names += (names.empty() ? "" : "|") + std::string(preset.name);
  }
  EXPECT_EQ(find_generate_option("preset")->value_name, names);
}

TEST(Presets, GiveWayToWhatIsGivenInAnyOrder) {
  // "dual" is the default too: that it was given counts, not that it differs.
  const GenerateOptions before =
      options_of({{"cache", "dual"}, {"seed", "7"}, {"preset", "exact"}, {"stop", "x"}});
  const GenerateOptions after =
      options_of({{"stop", "x"}, {"preset", "exact"}, {"seed", "7"}, {"cache", "dual"}});
  EXPECT_EQ(texts(before), texts(after));
  EXPECT_EQ(before.cache, CacheKind::kDual);
  EXPECT_EQ(before.tokens_per_forward, 1);
  EXPECT_EQ(before.seed, 7u);
  EXPECT_EQ(before.stop, (std::vector<std::string>{"x"}));
  EXPECT_EQ(after.stop, before.stop);
}

TEST(Presets, AGivenRuleReplacesThePresets) {
  for (const Sets& sets :
       {Sets{{"preset", "paper"}, {"factor", "1"}}, Sets{{"factor", "1"}, {"preset", "paper"}}}) {
    const GenerateOptions options = options_of(sets);
    EXPECT_EQ(options.factor, 1);
    EXPECT_FALSE(options.threshold.has_value());
  }
}

TEST(Presets, HaveTheirBlocksWhateverTheLength) {
  for (const Sets& sets : {Sets{{"preset", "fast"}, {"gen-length", "24"}},
                           Sets{{"gen-length", "24"}, {"preset", "fast"}}}) {
    EXPECT_EQ(options_of(sets).block_length, 16);
    EXPECT_EQ(options_of(sets).gen_length, 24);
  }
  EXPECT_EQ(
      options_of({{"gen-length", "24"}, {"block-length", "10"}, {"preset", "fast"}}).block_length,
      10);
}

TEST(Presets, LeaveOutWhatContradictsTheGiven) {
  const GenerateOptions never = options_of({{"preset", "turbo"}, {"refresh", "never"}});
  EXPECT_FALSE(never.refresh_radius.has_value());
  EXPECT_EQ(never.suffix_window, 32);
  EXPECT_EQ(never.query_before, 4);
  const GenerateOptions uncached = options_of({{"cache", "none"}, {"preset", "turbo"}});
  EXPECT_EQ(uncached.refresh, RefreshKind::kBlock);
  EXPECT_FALSE(uncached.refresh_radius.has_value());
  EXPECT_FALSE(uncached.query_before.has_value());
  EXPECT_FALSE(uncached.block_length.has_value());
  const Sets contradictory = {{"refresh-radius", "8"}, {"refresh", "never"}, {"preset", "fast"}};
  EXPECT_EQ(options_of(contradictory).refresh_radius, 8);  // given, and refused with the reason
}

TEST(Presets, TheLastOneCountsAlone) {
  EXPECT_EQ(texts(options_of({{"preset", "exact"}, {"top-k", "5"}, {"preset", "paper"}})),
            texts(options_of({{"top-k", "5"}, {"preset", "paper"}})));
}

TEST(Presets, LeaveAssignedFieldsAlone) {
  GenerateOptions options;
  options.gen_length = 64;
  options.query = QueryRows::kMasked;
  find_generate_option("preset")->set(options, "paper");
  EXPECT_EQ(options.gen_length, 64);
  EXPECT_EQ(options.query, QueryRows::kMasked);
}

TEST(Presets, RefuseUnknownNames) {
  GenerateOptions options;
  try {
    find_generate_option("preset")->set(options, "quick");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("exact, paper, fast or turbo"), std::string::npos);
  }
  options.preset = "quick";
  EXPECT_THROW(apply_preset(options), Error);
}

}  // namespace
}  // namespace fdllm
