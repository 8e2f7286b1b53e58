// A rule with a number of its own, as one is added: its definition and its line in the registry,
// which this program has a registry of its own for. Everything else finds it there.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fastdllm/engine.h"

#include "cli/generate/prompts.h"
#include "cli/options/generate_flags.h"
#include "decode/unmask/ranking.h"
#include "decode/unmask/registry.h"
#include "engine/option_json.h"
#include "server/api_types.h"

namespace fdllm {
namespace {

// ---- the rule's own file: the tokens of every so many-th position, from the left

constexpr RuleNumber kEvery = {
    .name = "every_nth",
    .value_name = "N",
    .help = "commit every N-th masked position",
    .range = {.least = 2, .greatest = 64},
    .whole = true,
};

std::vector<Candidate> select(const UnmaskContext& context, std::span<const Candidate> candidates) {
  std::vector<Candidate> chosen;
  const auto every = static_cast<std::size_t>(context.number(kEvery));
  for (std::size_t i = 0; i < candidates.size(); i += every) chosen.push_back(candidates[i]);
  return chosen;
}

}  // namespace

extern const UnmaskRule kEveryRule = {
    .name = "every_nth",
    .summary = "every so many-th masked position",
    .chosen_by = &kEvery,
    .quota = all_masked,
    .select = select,
};

// ---- the registry

extern const UnmaskRule kThresholdRule, kConfidenceThresholdRule, kTokensPerForwardRule;

std::span<const UnmaskRule* const> unmask_rules() {
  static constexpr std::array kRules = {&kThresholdRule, &kConfidenceThresholdRule,
                                        &kTokensPerForwardRule, &kEveryRule};
  return kRules;
}
std::span<const UnmaskModifier* const> unmask_modifiers() {
  return {};
}

namespace {

TEST(OwnRule, IsAnOption) {
  const GenerateOption* option = find_generate_option("every-nth");
  ASSERT_NE(option, nullptr);
  EXPECT_EQ(option->kind, GenerateOption::Kind::kInteger);
  EXPECT_EQ(option->range->least, 2);
  GenerateOptions options;
  option->set(options, "3");
  EXPECT_EQ(options.rule.get("every_nth"), 3);
  EXPECT_EQ(options_json(options)["every_nth"], 3);
}

TEST(OwnRule, IsInTheHelp) {
  CLI::App app;
  GenerateOptions options;
  cli::add_generate_options(app, options);
  const std::string help = app.help("", CLI::AppFormatMode::All);
  EXPECT_NE(help.find("--every-nth N"), std::string::npos) << help;
  EXPECT_NE(help.find("commit every N-th masked position"), std::string::npos);
  app.parse("--every-nth 4");
  EXPECT_EQ(options.rule.get("every_nth"), 4);
}

TEST(OwnRule, IsReadFromJson) {
  const auto lines = cli::parse_prompt_lines(R"({"prompt": "x", "every_nth": 5.0})", "f", {});
  EXPECT_EQ(lines.front().options.rule.get("every_nth"), 5);
  const auto chat = server::parse_chat_request(
      R"({"messages": [{"role": "user", "content": "x"}], "every_nth": 6})");
  EXPECT_EQ(chat.options.rule.get("every_nth"), 6);
  EXPECT_THROW(server::parse_chat_request(
                   R"({"messages": [{"role": "user", "content": "x"}], "every_nth": 6.5})"),
               server::ApiError);
}

TEST(OwnRule, ServesBothFamilies) {
  for (const char* name : {"llada-nano", "dream-nano"}) {
    Engine engine = Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / name);
    const auto doc = nlohmann::json::parse(server::openapi_json("m", engine.info()));
    const auto& schema = doc["components"]["schemas"]["ChatRequest"]["properties"]["every_nth"];
    EXPECT_EQ(schema["minimum"], 2);
    EXPECT_EQ(schema["maximum"], 64);
    EXPECT_EQ(doc["x-rules"].back()["name"], "every_nth");
    EXPECT_EQ(doc["x-rules"].back()["numbers"], nlohmann::json{"every_nth"});

    GenerateRequest request{.prompt_ids = engine.tokenize("Compute 12 + 7."), .options = {}};
    request.options.gen_length = 8;
    request.options.eos_stop = false;
    request.options.preset = "paper";  // whose rule gives way
    request.options.rule.set("every_nth", 4);
    const ResolvedRequest resolved = engine.resolve(request);
    EXPECT_EQ(options_json(resolved.options())["every_nth"], 4);
    EXPECT_EQ(resolved.options().rule.get("threshold"), std::nullopt);
    EXPECT_TRUE(resolved.confidence_is_probability());
    std::vector<std::size_t> commits;
    engine.generate(std::span(&resolved, 1), [&](const StepEvent& event) {
      commits.push_back(event.committed.size());
      return true;
    });
    EXPECT_LT(commits.size(), 8u);
    request.options.rule.set("every_nth", 1);
    EXPECT_THROW(engine.resolve(request), Error);
  }
}

}  // namespace
}  // namespace fdllm
