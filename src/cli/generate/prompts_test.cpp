#include "cli/generate/prompts.h"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "cli/exit_code.h"
#include "cli/options/generate_flags.h"

namespace fdllm::cli {
namespace {

std::vector<PromptSpec> parse(const std::string& text, const PromptSpec& defaults = {}) {
  return parse_prompt_lines(text, "p.jsonl", defaults);
}

std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return error.what();
  }
  return "";
}

TEST(PromptLines, ReadsEveryKindOfPrompt) {
  PromptSpec defaults;
  defaults.options.gen_length = 64;
  const auto specs = parse(
      "{\"prompt\": \"Grüße\", \"id\": 7, \"gen_length\": 32, \"cache\": \"none\"}\n"
      "\n"
      "{\"prompt_ids\": [1, 2], \"id\": \"b\", \"top-p\": 0.5, \"eos_stop\": false}\r\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"stop\": [\"#\", \"!\"],"
      " \"seed\": 18446744073709551615, \"threshold\": null}",
      defaults);
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[0].text, "Grüße");
  EXPECT_EQ(specs[0].id, 7);
  EXPECT_EQ(specs[0].options.gen_length, 32);
  EXPECT_EQ(specs[0].options.cache, CacheKind::kNone);
  EXPECT_EQ(specs[1].ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(specs[1].where, "p.jsonl:3");
  EXPECT_EQ(specs[1].options.gen_length, 64);
  EXPECT_EQ(specs[1].options.top_p, 0.5);
  EXPECT_FALSE(specs[1].options.eos_stop);
  ASSERT_TRUE(specs[2].messages);
  EXPECT_EQ((*specs[2].messages)[0].content, "x");
  EXPECT_EQ(specs[2].options.stop, (std::vector<std::string>{"#", "!"}));
  EXPECT_EQ(specs[2].options.seed, 18446744073709551615u);
  EXPECT_FALSE(specs[2].options.rule.get("threshold"));
  EXPECT_TRUE(specs[2].id.is_null());
}

TEST(PromptLines, TakeMessagesAsTheServerDoes) {
  const auto specs = parse(
      R"({"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}, "b"]}, )"
      R"({"role": "user", "content": "x", "name": "Ann"}], "gen_length": 32.0})");
  const std::vector<ChatMessage>& messages = *specs.front().messages;
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, "developer");
  EXPECT_EQ(messages[0].content, "a\nb");
  EXPECT_EQ(messages[1].fields.front().second, "\"Ann\"");
  EXPECT_EQ(specs.front().options.gen_length, 32);
}

TEST(PromptLines, RefusalsNameLineAndField) {
  const auto has = [](const std::string& message, const std::string& part) {
    return message.find(part) != std::string::npos;
  };
  const std::string good = "{\"prompt\": \"x\"}\n";
  EXPECT_TRUE(has(refusal(good + "{\"prompt\": 3}"), "p.jsonl:2: 'prompt': expected a string"));
  EXPECT_TRUE(has(refusal(good + "{\"prompt\": "), "p.jsonl:2"));
  EXPECT_TRUE(has(refusal("[1]"), "p.jsonl:1: expected an object"));
  EXPECT_TRUE(has(refusal("{}"), "p.jsonl:1: expected exactly one of"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"prompt_ids\": [1]}"), "expected exactly one of"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"promt\": 1}"), "'promt': unknown field"));
  EXPECT_TRUE(
      has(refusal("{\"prompt_ids\": [1, -1]}"), "'prompt_ids': expected an integer from 0"));
  EXPECT_TRUE(has(refusal("{\"prompt_ids\": [4294967296]}"), "'prompt_ids'"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"gen_length\": 1.5}"),
                  "'gen_length': expected an integer, found 1.5"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"gen_length\": 99999999999}"), "'gen_length'"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"cache\": \"both\"}"), "'cache'"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"correct\": 1}"), "'correct': expected true or"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"stop\": [1]}"), "'stop': expected a string"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"top-k\": 1, \"top_k\": 2}"), "given twice"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"prompt\": \"y\"}"), "p.jsonl:1"));
  EXPECT_TRUE(has(refusal("{\"messages\": []}"), "'messages'"));
  EXPECT_TRUE(has(refusal("{\"messages\": [{\"role\": \"root\", \"content\": \"x\"}]}"),
                  "'messages[0].role'"));
  EXPECT_TRUE(has(refusal("{\"prompt\": \"x\", \"id\": []}"), "'id'"));
  EXPECT_TRUE(has(refusal("\n \n"), "there is no prompt"));
  EXPECT_NE(refusal("{\"prompt\": \"\xFF\"}"), "");
  EXPECT_NE(refusal("{\"prompt\": " + std::string(10000, '[')), "");
}

TEST(TokenIds, ParsesLists) {
  EXPECT_EQ(parse_token_ids("1,2, 3\n", "--prompt-ids"), (std::vector<std::int32_t>{1, 2, 3}));
  for (const char* bad : {"", ",", "1,", "1 2", "-1", "1.5", "x", "4294967296"}) {
    EXPECT_THROW(parse_token_ids(bad, "--prompt-ids"), Error) << bad;
  }
}

GenerateOptions parse_flags(std::vector<std::string> arguments) {
  CLI::App app;
  GenerateOptions options;
  add_generate_options(app, options);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  return options;
}

TEST(GenerateFlags, CoverTheTable) {
  const GenerateOptions options =
      parse_flags({"--gen-length", "64", "--block-length=16", "--cache", "prefix", "--factor",
                   "1.5", "--no-eos-stop", "--correct", "--stop", "a", "--stop", "b c", "--seed",
                   "18446744073709551615"});
  EXPECT_EQ(options.gen_length, 64);
  EXPECT_EQ(options.block_length, 16);
  EXPECT_EQ(options.cache, CacheKind::kPrefix);
  EXPECT_EQ(options.rule.get("factor"), 1.5);
  EXPECT_FALSE(options.eos_stop);
  EXPECT_TRUE(options.correct);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(options.seed, 18446744073709551615u);
  CLI::App app;
  GenerateOptions ignored;
  add_generate_options(app, ignored);
  for (const GenerateOption& option : generate_options()) {
    EXPECT_NE(app.get_option_no_throw("--" + std::string(option.name)), nullptr) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

TEST(GenerateFlags, APresetStandsBesideWhatIsGiven) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--preset", "exact", "--cache", "dual"},
        std::vector<std::string>{"--cache", "dual", "--preset", "exact"}}) {
    const GenerateOptions options = parse_flags(flags);
    EXPECT_EQ(options.cache, CacheKind::kDual);
    EXPECT_EQ(options.preset, "exact");
  }
}

TEST(PromptLines, TakeWholeNumbersHoweverTheyAreWritten) {
  const GenerateOptions options =
      parse(R"({"prompt": "x", "gen_length": 32.0, "steps": 3.2e1})").front().options;
  EXPECT_EQ(options.gen_length, 32);
  EXPECT_EQ(options.rule.get("steps"), 32);
  EXPECT_NE(refusal(R"({"prompt": "x", "gen_length": 32.5})").find("'gen_length'"),
            std::string::npos);
}

TEST(GenerateFlags, RefuseBadValues) {
  EXPECT_THROW(parse_flags({"--gen-length", "many"}), Error);
  EXPECT_THROW(parse_flags({"--gen-length"}), CLI::ParseError);
  EXPECT_THROW(parse_flags({"--cache", "both"}), Error);
  EXPECT_THROW(parse_flags({"--correct", "--no-correct"}), CLI::ParseError);
  EXPECT_THROW(parse_flags({"--stop", "a", "b"}), CLI::ParseError);
  EXPECT_THROW(parse_flags({"--no-such-option"}), CLI::ParseError);
}

TEST(ExitCodes, DifferByKind) {
  EXPECT_EQ(exit_code(ErrorCode::kInvalidArgument), 2);
  EXPECT_EQ(exit_code(ErrorCode::kNotFound), 3);
  EXPECT_EQ(exit_code(ErrorCode::kCorruptFile), 4);
  EXPECT_EQ(exit_code(ErrorCode::kUnsupported), 5);
  EXPECT_EQ(exit_code(ErrorCode::kOutOfMemory), 6);
  EXPECT_EQ(exit_code(ErrorCode::kNumeric), 7);
}

}  // namespace
}  // namespace fdllm::cli
