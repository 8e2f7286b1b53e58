#include "text/chat_template.h"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fastdllm/error.h"

#include "text/chat_templates.h"

namespace fdllm {
namespace {

const std::vector<TemplateMessage> kMessages = {{"system", "Be brief."}, {"user", " Hi é \n"}};

constexpr std::time_t kNow = 1718000645;  // 2024-06-10 06:24:05 UTC

std::string render(std::string source, const std::vector<TemplateMessage>& messages = kMessages) {
  return ChatTemplate("test.jinja", std::move(source),
                      {{"bos_token", "<s>"}, {"eos_token", "</s>"}})
      .apply(messages, true, kNow);
}

void expect_error(const std::string& source, ErrorCode code, std::string_view part) {
  try {
    ADD_FAILURE() << source << " gives " << render(source);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

/// The template that a folder's model uses.
std::optional<ChatTemplate> read_chat_template(const std::filesystem::path& folder,
                                               std::string_view choice = {}) {
  return choose_chat_template(read_chat_templates(folder), choice);
}

TEST(ChatTemplate, ShippedTemplates) {
  const std::filesystem::path models = std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models";
  const auto llada = read_chat_template(models / "llada-nano");
  ASSERT_TRUE(llada);
  EXPECT_EQ(llada->apply(kMessages, true),
            "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi é<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  const auto dream = read_chat_template(models / "dream-nano");
  ASSERT_TRUE(dream);
  EXPECT_EQ(dream->apply(std::vector<TemplateMessage>{{"user", "Hi"}}, false),
            "<|im_start|>system\nYou are a helpful "
            "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, TrimsBlocks) {
  EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\n c\n"), "a\n  b\n c");
  EXPECT_EQ(render(" x {%- if true -%} \n y {% endif +%}\nz"), " xy \nz");
  EXPECT_EQ(render(" {#- c -#} \n {{- 1 -}} \n 2"), "12");
}

TEST(ChatTemplate, LoopsAndNamespaces) {
  EXPECT_EQ(render("{% for m in messages if m.role != 'tool' %}{{ loop.index }}{{ m.role[0] }}"
                   "{{ '' if loop.last else ',' }}{% endfor %}"),
            "1s,2u");
  EXPECT_EQ(render("{% set ns = namespace(n=0) %}{% for m in messages[1:] %}"
                   "{% set ns.n = ns.n + m.content|length %}{% endfor %}{{ ns.n }}"),
            "7");
}

TEST(ChatTemplate, InvalidBytesAreReplaced) {
  EXPECT_EQ(render("{{ messages[0].content|length }}{{ messages[0].content }}",
                   {{"user", "\xFF\xE2\x82"}}),
            "2\uFFFD\uFFFD");
}

TEST(ChatTemplate, SpecialTokensAreDefinedWhereTheyExist) {
  const ChatTemplate chat_template("t", "{{ bos_token is defined }}{{ pad_token }}",
                                   {{"pad_token", "<pad>"}});
  EXPECT_EQ(chat_template.apply(kMessages, true), "False<pad>");
}

TEST(ChatTemplate, OtherFieldsOfMessagesAreSeen) {
  EXPECT_EQ(render("{% for m in messages %}{{ m.name or '-' }}{{ m.reasoning_content is defined }};"
                   "{% endfor %}",
                   {{"user", "a", {{"name", "\"Ann\""}}},
                    {"assistant", "b", {{"reasoning_content", "\"hm\""}}}}),
            "AnnFalse;-True;");
}

TEST(ChatTemplate, ToolCallsReachTemplatesThatReadThem) {
  const TemplateMessage called{
      "assistant",
      "",
      {{"tool_calls", R"([{"function": {"name": "f", "arguments": {"b": 1, "a": null}}}])"}},
      "null"};
  // As Qwen2.5 writes them.
  const ChatTemplate reads("t",
                           "{% for m in messages %}{% if m.content %}{{ m.content }}{% endif %}"
                           "{% for call in m.tool_calls %}{% set call = call.function %}"
                           "{{ call.name }} {{ call.arguments | tojson }}{% endfor %}{% endfor %}",
                           {});
  EXPECT_EQ(reads.apply(std::span(&called, 1), false), R"(f {"b": 1, "a": null})");
  const ChatTemplate ignores("t", "{{ messages[0].content }}", {});
  try {
    ignores.apply(std::span(&called, 1), false);
    FAIL() << "were dropped";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("'messages[0].tool_calls'"));
  }
}

TEST(ChatTemplate, PartsReachTemplatesThatGoThroughThem) {
  const TemplateMessage parts{
      "user", "a\nb", {}, R"([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])"};
  // As Gemma and Llama 3.2 do.
  const ChatTemplate reads("t",
                           "{% set c = messages[0].content %}{% if c is string %}{{ c }}{% else %}"
                           "{% for part in c %}{% if part.type == 'text' %}[{{ part.text }}]"
                           "{% endif %}{% endfor %}{% endif %}",
                           {});
  EXPECT_EQ(reads.apply(std::span(&parts, 1), false), "[a][b]");
  for (const char* source : {"{{ messages[0].content }}", "{{ messages[0].content | tojson }}",
                             "{{ 'user: ' + messages[0].content }}"}) {
    const std::string text = ChatTemplate("t", source, {}).apply(std::span(&parts, 1), false);
    EXPECT_EQ(text.find("type"), std::string::npos) << text;
    EXPECT_NE(text.find('a'), std::string::npos) << text;
  }
}

TEST(ChatTemplate, DeveloperIsTheSystemWhereTheTemplateDoesNotKnowIt) {
  const TemplateMessage message{"developer", "x"};
  const auto role = [&](const char* source) {
    return ChatTemplate("t", source, {}).apply(std::span(&message, 1), false);
  };
  EXPECT_EQ(role("{{ messages[0].role }}"), "system");
  EXPECT_EQ(role("{% if messages[0].role == 'developer' %}d{% endif %}"), "d");
}

TEST(ChatTemplate, MacrosCallsAndGenerationBlocks) {
  EXPECT_EQ(render("{%- macro turn(m, end='.') -%}[{{ m.role }}]{{ end }}{%- endmacro -%}"
                   "{% for m in messages %}{{ turn(m) }}{% endfor %}{{ turn(messages[0], '!') }}"),
            "[system].[user].[system]!");
  EXPECT_EQ(render("{% macro wrap(tag) %}<{{ tag }}>{{ caller(1) }}</{{ tag }}>{% endmacro %}"
                   "{% call(x) wrap('b') %}{{ x }}{% endcall %}"),
            "<b>1</b>");
  EXPECT_EQ(render("{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %},"
                   "{% endfor %}"),
            "system,user,");
}

TEST(ChatTemplate, PrintsAsPython) {
  EXPECT_EQ(render("{{ [1, 2.0, 'it\\'s', none, true, {'a': (1,)}] }}"),
            "[1, 2.0, \"it's\", None, True, {'a': (1,)}]");
  EXPECT_EQ(render("{{ 1 / 3 }} {{ 1e16 }} {{ 0.00001 }} {{ 7 // -2 }} {{ 2 ** -1 }}"),
            "0.3333333333333333 1e+16 1e-05 -4 0.5");
  EXPECT_EQ(render("{{ {'b': [1, 'é']}|tojson(indent=2) }}"),
            "{\n  \"b\": [\n    1,\n    \"é\"\n  ]\n}");
  EXPECT_EQ(render("{{ 'a%sb%05.1f' % (7, 2.25) }} {{ '{:>4}|{n}'.format('x', n=1) }}"),
            "a7b002.2    x|1");
}

TEST(ChatTemplate, TheDateIsTheLocalOneAtTheGivenTime) {
  std::tm local{};
  localtime_r(&kNow, &local);
  EXPECT_EQ(render("{% if strftime_now is defined %}{{ strftime_now('%Y %j') }}{% endif %}"),
            fmt::format("{} {:03}", local.tm_year + 1900, local.tm_yday + 1));
  EXPECT_EQ(render("{{ strftime_now('%d %b|%-d %e|%%|%Q%') }}"),
            fmt::format("{0:02} Jun|{0} {0:2}|%|%Q%", local.tm_mday));
}

TEST(ChatTemplate, ErrorsNameOriginLineAndConstruct) {
  using enum ErrorCode;
  expect_error("\n{% include 'x' %}", kUnsupported,
               "test.jinja: the chat template can't be used: line 2: the tag 'include' is not "
               "supported; give the prompt as it is (--raw) or another template");
  expect_error("{{ 1.5|nonsense }}", kUnsupported, "line 1: the filter 'nonsense'");
  expect_error("{{ 'a'.zzz() }}", kInvalidArgument, "a string has no attribute 'zzz'");
  expect_error("{{ 1 is nonsense }}", kUnsupported, "the test 'nonsense'");
  expect_error("{{ words|random }}", kUnsupported, "test.jinja: line 1: the filter 'random'");
  expect_error("{{ messages.append(1) }}", kInvalidArgument, "would change it");
  expect_error("{% if true %}\n\nx", kCorruptFile, "line 3: expected '{% endif %}'");
  expect_error("{{ 'x }}", kCorruptFile, "closing quote");
  expect_error("{{ raise_exception('roles must alternate') }}", kInvalidArgument,
               "test.jinja: line 1: roles must alternate");
  expect_error("{{ messages[5].role }}", kInvalidArgument, "a list has no such item");
  expect_error("{{ missing.role }}", kInvalidArgument, "'missing' is undefined");
  expect_error("{{ 'a' + 1 }}", kInvalidArgument, "'+' of a string and a whole number");
}

TEST(ChatTemplate, AProblemIsNoErrorUntilTheTemplateIsApplied) {
  const ChatTemplate broken("t.jinja", "a\n{% if %}", {});
  EXPECT_NE(broken.problem().find("t.jinja: the chat template can't be used: line 2"),
            std::string::npos)
      << broken.problem();
  EXPECT_EQ(broken.source(), "a\n{% if %}");
  EXPECT_THROW(static_cast<void>(broken.apply(kMessages, true)), Error);
  EXPECT_EQ(ChatTemplate("t.jinja", "a", {}).problem(), "");
}

TEST(ChatTemplate, HostileTemplatesAreErrors) {
  const auto repeat = [](std::string_view text, int count) {
    std::string result;
    for (int i = 0; i < count; ++i) result += text;
    return result;
  };
  using enum ErrorCode;
  const std::string nested_ifs = repeat("{% if true %}", 100000);
  for (const std::string& source :
       {"{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}",
        "{{ " + repeat("not ", 100000) + "1 }}",
        "{{ " + repeat("-", 100000) + "1 }}",
        "{{ 1" + repeat(" + 1", 100000) + " }}",
        "{{ 1" + repeat("|string", 100000) + " }}",
        "{{ a" + repeat(".a", 100000) + " }}",
        "{{ 1" + repeat(" if 1 else 1", 20000) + " }}",
        nested_ifs,
        std::string(
            "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
        std::string("{% set n = namespace(x='ab') %}{% for i in range(99) %}"
                    "{% set n.x = n.x ~ n.x %}{% endfor %}"),
        std::string("{% set n = namespace(x=[]) %}{% for i in range(99) %}"
                    "{% set n.x = [n.x, n.x] %}{% endfor %}"),
        std::string("{% set n = namespace(x=[1]) %}{% for i in range(24) %}"
                    "{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}"),
        std::string("{{ range(9999999999)|length }}"),
        std::string("{{ 'x' * 10 ** 9 }}"),
        std::string("{{ [1] * 10 ** 9 }}"),
        std::string("{{ '%999999999d' % 1 }}"),
        std::string("{{ '{:>999999999}'.format(1) }}"),
        std::string("{{ 'x'.center(10 ** 9) }}"),
        std::string("{{ 'x'.ljust(10 ** 12) }}"),
        std::string("{{ '1'.zfill(10 ** 12) }}"),
        std::string("{{ '\t'.expandtabs(10 ** 12) }}"),
        std::string("{{ 'x'|indent(10 ** 12) }}"),
        std::string("{{ [1]|tojson(indent=10 ** 12) }}"),
        std::string("{{ [1]|batch(10 ** 12, 0)|list }}"),
        std::string("{{ []|slice(10 ** 12)|list }}"),
        std::string("{{ 10 ** 99 }}"),
        std::string("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        std::string("{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('xy') }}"),
        std::string("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
        std::string("{% for a in range(9999) %}{% set x = range(9999)|sort %}{% endfor %}"),
        std::string("{% set x = 'ab' * 100000 %}{% for a in range(9999) %}{{ x.replace('a', "
                    "x)|length }}{% endfor %}"),
        std::string(
            "{% set x = range(3000)|list %}{% for a in x %}{{ x|unique|list|length }}{% endfor %}"),
        std::string("{{ 'x'.replace('x', 'y' ~ range(99999)|join) | list | length }}"
                    "{% for i in range(99999) %}{{ range(99999)|join }}{% endfor %}")}) {
    try {
      render(source);
      ADD_FAILURE() << source.substr(0, 100);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), kUnsupported) << source.substr(0, 100) << ": " << error.what();
    }
  }
}

TEST(ChatTemplate, NumbersDoNotOverflow) {
  using enum ErrorCode;
  expect_error("{{ 999999999999999999 * 999999999999999999 }}", kUnsupported, "beyond 64 bits");
  expect_error("{{ 1 // 0 }}", kInvalidArgument, "division by zero");
  EXPECT_EQ(render("{% set low = -922337203685477580 * 10 - 8 %}{{ low % -1 }} {{ low is even }}"),
            "0 True");
  expect_error("{% set low = -922337203685477580 * 10 - 8 %}{{ low // -1 }}", kUnsupported,
               "beyond 64 bits");
  expect_error("{{ 99999999999999999999 }}", kUnsupported, "beyond 64 bits");
  expect_error("{{ '99999999999999999999'|int }}", kUnsupported, "beyond 64 bits");
}

TEST(ChatTemplate, ANamespaceMayHoldItself) {
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}"
                   "{{ n.n.l[0] == n }}{{ n.l == [n] }}"),
            "TrueTrue");
}

class ChatTemplateFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("fastdllm_chat_template_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const char* name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::filesystem::path folder_;
};

TEST_F(ChatTemplateFiles, NoneIsNoError) {
  EXPECT_FALSE(read_chat_template(folder_));
  write("tokenizer_config.json", R"({"bos_token": null})");
  EXPECT_FALSE(read_chat_template(folder_));
}

TEST_F(ChatTemplateFiles, TheDefaultOfAListAndTokensAsObjects) {
  write("tokenizer_config.json",
        R"({"bos_token": {"content": "<b>"}, "chat_template": [{"name": "rag", "template": "no"},
            {"name": "default", "template": "{{ bos_token }}!"}]})");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "<b>!");
  EXPECT_EQ(read_chat_template(folder_, "rag").value().apply(kMessages, true), "no");
}

TEST_F(ChatTemplateFiles, AllSpecialTokensArePassed) {
  write("tokenizer_config.json",
        R"({"pad_token": "<p>", "unk_token": null, "chat_template":
            "{{ pad_token }}{{ unk_token is defined }}{{ cls_token }}{{ mask_token }}"})");
  write("special_tokens_map.json",
        R"({"pad_token": "no", "unk_token": "no", "cls_token": "<c>",
            "mask_token": {"content": "<m>", "lstrip": false}})");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "<p>False<c><m>");
}

TEST_F(ChatTemplateFiles, NamedTemplatesWithoutADefaultAreAChoice) {
  for (
      const char* text :
      {R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "use", "template": "u"}]})",
       R"({"chat_template": {"rag": "r", "use": "u"}})"}) {
    write("tokenizer_config.json", text);
    const auto undecided = read_chat_template(folder_);
    ASSERT_TRUE(undecided);
    EXPECT_NE(undecided->problem().find("has the chat templates 'rag', 'use'"), std::string::npos)
        << undecided->problem();
    EXPECT_THROW(static_cast<void>(undecided->apply(kMessages, true)), Error);
    EXPECT_EQ(read_chat_template(folder_, "use").value().apply(kMessages, true), "u");
    write("own.jinja", "own");
    EXPECT_EQ(read_chat_template(folder_, (folder_ / "own.jinja").string())
                  .value()
                  .apply(kMessages, true),
              "own");
    try {
      read_chat_template(folder_, "nothing");
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_NE(std::string_view(error.what()).find("'rag', 'use'"), std::string_view::npos)
          << error.what();
    }
  }
  write("tokenizer_config.json", R"({"chat_template": {"only": "o"}})");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "o");
}

TEST_F(ChatTemplateFiles, AdditionalTemplatesAreFiles) {
  write("tokenizer_config.json", R"({"eos_token": "<e>", "chat_template": "no"})");
  write("chat_template.jinja", "{{ eos_token }}?");
  std::filesystem::create_directories(folder_ / "additional_chat_templates");
  write("additional_chat_templates/rag.jinja", "{{ eos_token }}r");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "<e>?");
  EXPECT_EQ(read_chat_template(folder_, "rag").value().apply(kMessages, true), "<e>r");
  EXPECT_EQ(read_chat_templates(folder_).names(), (std::vector<std::string>{"default", "rag"}));
}

TEST_F(ChatTemplateFiles, AProcessorsTemplateIsRead) {
  write("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "processor");
}

TEST_F(ChatTemplateFiles, DamagedConfigurationsAreNamed) {
  for (const char* text :
       {"[]", "{", R"({"chat_template": 5})", R"({"chat_template": [5]})",
        R"({"chat_template": {"default": 5}})", R"({"chat_template": [{"name": "a"}]})",
        R"({"chat_template": "x", "bos_token": 5})"}) {
    write("tokenizer_config.json", text);
    try {
      read_chat_template(folder_);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorruptFile);
      EXPECT_TRUE(std::string_view(error.what()).starts_with("tokenizer_config.json"))
          << error.what();
    }
  }
}

}  // namespace
}  // namespace fdllm
