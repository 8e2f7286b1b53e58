#include "decode/options/presets.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "decode/decode_testing.h"

namespace fdllm {
namespace {

using Sets = std::vector<std::pair<std::string, std::string>>;

GenerateOptions options_of(const Sets& sets) {
  GenerateOptions options;
  for (const auto& [name, value] : sets) find_generate_option(name)->set(options, value);
  return with_preset(options);
}

/// All values as text, so that options can be compared.
std::vector<std::string> texts(const GenerateOptions& options) {
  std::vector<std::string> result;
  for (const GenerateOption& option : generate_options()) {
    result.push_back(option.text(options).value_or("-"));
  }
  return result;
}

TEST(Presets, SayWhatIsNotGiven) {
  for (const Preset& preset : presets()) {
    GenerateOptions options;
    options.preset = preset.name;
    const GenerateOptions made = with_preset(options);
    EXPECT_EQ(made.preset, preset.name);
    EXPECT_FALSE(preset.values.empty());
    for (const Preset::Value& value : preset.values) {
      const GenerateOption* option = find_generate_option(value.option);
      EXPECT_EQ(option->text({}), std::nullopt) << "it can't be told whether it was given";
      EXPECT_EQ(option->text(made), value.value) << preset.name;
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
  Sets sets = {{"cache", "dual"}, {"gen-length", "24"}, {"preset", "exact"}, {"seed", "7"}};
  std::sort(sets.begin(), sets.end());
  const std::vector<std::string> expected = texts(options_of(sets));
  while (std::next_permutation(sets.begin(), sets.end())) {
    const GenerateOptions options = options_of(sets);
    EXPECT_EQ(texts(options), expected);
    EXPECT_EQ(options.cache, CacheKind::kDual);
    EXPECT_EQ(options.rule.get("tokens_per_forward"), 1);
    EXPECT_EQ(options.seed, 7u);
  }
}

TEST(Presets, CountWithAssignedMembersInAnyOrder) {
  GenerateOptions before;
  before.preset = "fast";
  before.temperature = 0.7;
  find_generate_option("seed")->set(before, "3");
  before.cache = CacheKind::kPrefix;
  before.query = QueryRows::kMasked;
  GenerateOptions after;
  after.query = QueryRows::kMasked;
  after.cache = CacheKind::kPrefix;
  after.seed = 3;
  after.temperature = 0.7;
  find_generate_option("preset")->set(after, "fast");
  EXPECT_EQ(texts(with_preset(before)), texts(with_preset(after)));
  EXPECT_EQ(with_preset(before).temperature, 0.7);
  EXPECT_EQ(with_preset(before).cache, CacheKind::kPrefix);
  EXPECT_EQ(with_preset(before).query_before, 8);
}

TEST(Presets, ChangeNothingTwice) {
  for (const Preset& preset : presets()) {
    const GenerateOptions once = options_of({{"preset", std::string(preset.name)}});
    EXPECT_EQ(texts(with_preset(once)), texts(once));
  }
}

TEST(Presets, AGivenRuleReplacesThePresets) {
  for (const Sets& sets :
       {Sets{{"preset", "paper"}, {"factor", "1"}}, Sets{{"factor", "1"}, {"preset", "paper"}}}) {
    const GenerateOptions options = options_of(sets);
    EXPECT_EQ(options.rule.get("factor"), 1);
    EXPECT_FALSE(options.rule.get("threshold").has_value());
  }
  EXPECT_FALSE(options_of({{"preset", "paper"}, {"alg", "entropy"}}).rule.get("threshold"));
  EXPECT_TRUE(options_of({{"preset", "paper"}, {"early-commit", "1"}}).rule.get("threshold"));
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
  EXPECT_FALSE(uncached.refresh.has_value());
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

TEST(Presets, RefuseUnknownNames) {
  GenerateOptions options;
  const std::vector<std::string> words = {"preset", "exact", "paper", "turbo", "quick"};
  testing::expect_refused([&] { find_generate_option("preset")->set(options, "quick"); }, words);
  options.preset = "quick";
  testing::expect_refused([&] { with_preset(options); }, words);
}

}  // namespace
}  // namespace fdllm
