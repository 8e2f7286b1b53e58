#include "text/chat_template.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

const std::vector<TemplateMessage> kMessages = {{"system", "Be brief."}, {"user", " Hi é \n"}};

std::string render(std::string source, const std::vector<TemplateMessage>& messages = kMessages) {
  return ChatTemplate(std::move(source), "<s>", "</s>").apply(messages, true);
}

void expect_error(const std::string& source, ErrorCode code, std::string_view part) {
  try {
    ADD_FAILURE() << source << " gives " << render(source);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
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

TEST(ChatTemplate, MissingTokensAreUndefined) {
  const ChatTemplate chat_template("{{ bos_token is defined }}{{ eos_token }}", "", "</s>");
  EXPECT_EQ(chat_template.apply(kMessages, true), "False</s>");
}

TEST(ChatTemplate, ErrorsNameLineAndConstruct) {
  using enum ErrorCode;
  expect_error("\n{% macro f() %}", kUnsupported, "line 2: the tag 'macro' is not supported");
  expect_error("{{ 1.5 }}", kUnsupported, "line 1: a number that is no decimal integer");
  expect_error("{{ 'a'|title }}", kUnsupported, "line 1: the filter 'title' is not supported");
  expect_error("{{ 'a'.title() }}", kUnsupported, "string method 'title'");
  expect_error("{{ 1 is sameas(1) }}", kUnsupported, "the test 'sameas'");
  expect_error("{{ strftime_now('%Y') }}", kUnsupported, "current date");
  expect_error("{{ messages }}", kUnsupported, "printing a list");
  expect_error("{% if true %}\n\nx", kCorruptFile, "line 3: expected '{% endif %}'");
  expect_error("{{ 'x }}", kCorruptFile, "closing quote");
  expect_error("{{ raise_exception('roles must alternate') }}", kInvalidArgument,
               "line 1: roles must alternate");
  expect_error("{{ messages[5].role }}", kInvalidArgument, "a list has no such item");
  expect_error("{{ missing.role }}", kInvalidArgument, "'missing' is undefined");
  expect_error("{{ 'a' + 1 }}", kInvalidArgument, "'+' of a string and a number");
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
        "{{ " + repeat("not ", 100000) + "1 }}", "{{ " + repeat("-", 100000) + "1 }}",
        "{{ 1" + repeat(" + 1", 100000) + " }}", "{{ 1" + repeat("|string", 100000) + " }}",
        "{{ a" + repeat(".a", 100000) + " }}", "{{ 1" + repeat(" if 1 else 1", 20000) + " }}",
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
  expect_error("{{ 999999999999999999 * 999999999999999999 }}", kInvalidArgument, "too large");
  expect_error("{{ 1 // 0 }}", kInvalidArgument, "division by zero");
  EXPECT_EQ(render("{% set low = -922337203685477580 * 10 - 8 %}{{ low % -1 }} {{ low is even }}"),
            "0 True");
  expect_error("{% set low = -922337203685477580 * 10 - 8 %}{{ low // -1 }}", kInvalidArgument,
               "too large");
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
}

TEST_F(ChatTemplateFiles, TheTemplateFileGoesBeforeTheConfiguration) {
  write("tokenizer_config.json", R"({"eos_token": "<e>", "chat_template": "no"})");
  write("chat_template.jinja", "{{ eos_token }}?");
  EXPECT_EQ(read_chat_template(folder_).value().apply(kMessages, true), "<e>?");
}

TEST_F(ChatTemplateFiles, DamagedConfigurationsAreNamed) {
  for (const char* text : {"[]", "{", R"({"chat_template": 5})", R"({"chat_template": []})",
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
