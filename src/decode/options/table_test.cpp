#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"
#include "fastdllm/options.h"

namespace fdllm {
namespace {

TEST(OptionTable, NamesAreUniqueAndFoundWithDashesOrUnderscores) {
  std::set<std::string_view> names;
  for (const GenerateOption& option : generate_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_FALSE(option.help.empty());
    EXPECT_EQ(find_generate_option(option.name), &option);
  }
  EXPECT_NE(find_generate_option("gen_length"), nullptr);
  EXPECT_EQ(find_generate_option("gen length"), nullptr);
  EXPECT_EQ(find_generate_option(""), nullptr);
}

TEST(OptionTable, SetsWhatItSays) {
  GenerateOptions options;
  const auto set = [&](std::string_view name, std::string_view value) {
    find_generate_option(name)->set(options, value);
  };
  set("gen-length", "256");
  set("block_length", "16");
  set("cache", "prefix");
  set("factor", "1.5");
  set("remasking", "random");
  set("seed", "18446744073709551615");
  set("stop", "a");
  set("stop", "b");
  set("eos-stop", "false");
  EXPECT_EQ(options.gen_length, 256);
  EXPECT_EQ(options.block_length, 16);
  EXPECT_EQ(options.cache, CacheKind::kPrefix);
  EXPECT_EQ(options.rule.get("factor"), 1.5);
  EXPECT_EQ(options.remasking, Remasking::kRandom);
  EXPECT_EQ(options.seed, ~0ull);
  set("seed", "-2");
  EXPECT_EQ(options.seed, ~0ull - 1);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(options.eos_stop);
}

TEST(OptionTable, TextIsWhatSetTakes) {
  for (const GenerateOption& declared : generate_options()) {
    const GenerateOption option = declared;  // a copy does as well
    if (option.kind == GenerateOption::Kind::kTexts) continue;
    GenerateOptions options;
    // A value of each kind that is no default.
    const std::vector<std::string> words = option.words();
    const std::string value = option.kind == GenerateOption::Kind::kFlag
                                  ? (option.otherwise == "true" ? "false" : "true")
                              : !words.empty()                               ? words.back()
                              : option.kind == GenerateOption::Kind::kNumber ? "0.1"
                                                                             : "77";
    EXPECT_NE(option.text(options), value) << option.name;
    option.set(options, value);
    EXPECT_EQ(option.text(options), value) << option.name;
  }
}

TEST(OptionTable, DefaultsAreWhatSetTakesAndWhatHolds) {
  const GenerateOptions none;
  for (const GenerateOption& option : generate_options()) {
    if (option.otherwise.empty()) continue;
    GenerateOptions options;
    option.set(options, option.otherwise);
    EXPECT_EQ(option.text(options), option.otherwise) << option.name;
    // What can't be left open has it from the start.
    EXPECT_EQ(option.text(none).value_or(option.otherwise), option.otherwise) << option.name;
    if (option.range) {
      EXPECT_TRUE(option.range->contains(option.read_number(option, options).value_or(-1)));
    }
  }
}

TEST(OptionTable, RulesHaveTheNumbersThatTheyDeclare) {
  RuleOptions rule;
  EXPECT_EQ(rule.get("tokens_per_forward"), std::nullopt);
  rule.set("tokens-per-forward", 2).set("threshold", 0.5).set("tokens_per_forward", 3);
  EXPECT_EQ(rule.get("tokens_per_forward"), 3);
  const RuleOptions copy = rule;
  rule.reset("threshold");
  EXPECT_EQ(rule.get("threshold"), std::nullopt);
  EXPECT_EQ(copy.get("threshold"), 0.5);
  EXPECT_THROW(rule.set("treshold", 0.5), Error);
  EXPECT_THROW(static_cast<void>(rule.get("gen_length")), Error);
}

TEST(OptionTable, BadValuesNameTheOptionAndWhatItTakes) {
  for (const auto& [name, value] : {std::pair<const char*, const char*>{"gen-length", "many"},
                                    {"gen-length", "12x"},
                                    {"gen-length", "99999999999"},
                                    {"cache", "full"},
                                    {"threshold", "nan"},
                                    {"threshold", ""},
                                    {"temperature", "inf"},
                                    {"remasking", "high"},
                                    {"seed", "-9223372036854775809"},
                                    {"correct", "yes"},
                                    {"stop", ""}}) {
    GenerateOptions options;
    try {
      find_generate_option(name)->set(options, value);
      FAIL() << name << " took " << value;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(find_generate_option(name)->field()),
                std::string::npos);
    }
  }
}

}  // namespace
}  // namespace fdllm
