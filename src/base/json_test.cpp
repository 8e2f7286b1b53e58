#include "base/json.h"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "base/quote.h"

namespace fdllm {
namespace {

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "file.json", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptFile);
    return error.what();
  }
  return "no error";
}

std::string nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(Json, Parses) {
  const auto value = parse_json(R"({"a": [1, "]}[{", "\"[\\"], "a b": null})", "x");
  EXPECT_EQ(value["a"][0], 1);
  EXPECT_EQ(value["a"][2], "\"[\\");
  EXPECT_TRUE(value["a b"].is_null());
}

TEST(Json, SyntaxErrorsSayWhereAndWhatStandsThere) {
  const auto at = [](int byte, int line, int column, const std::string& what) {
    return fmt::format("file.json: byte {} (line {}, column {}): not valid JSON: {}", byte, line,
                       column, what);
  };
  const std::string ends = "it ends too early; was the file cut off?";
  EXPECT_EQ(error_of(R"({"a": )"), at(7, 1, 7, ends));
  EXPECT_EQ(error_of("{\n \"a\": 1,\n"), at(12, 3, 1, ends));
  EXPECT_EQ(error_of(""), at(1, 1, 1, ends));
  EXPECT_EQ(error_of("[tru"), at(5, 1, 5, ends));
  EXPECT_EQ(error_of("[\"ab"), at(5, 1, 5, ends));
  EXPECT_EQ(error_of(std::string("{\"a\": 1\0\0\0", 10)), at(8, 1, 8, ends));
  EXPECT_EQ(error_of(std::string("{}\0{}", 5)), at(3, 1, 3, "found byte 0x00"));
  EXPECT_EQ(error_of("{} x"), at(4, 1, 4, "found 'x'"));
  EXPECT_EQ(error_of("\"\xff\""), at(2, 1, 2, "found byte 0xff"));
  EXPECT_EQ(error_of("[\"a\nb\"]"), at(4, 1, 4, "found byte 0x0a"));
  EXPECT_EQ(error_of("{\n  \"a\": 1,\n}"), at(13, 3, 1, "found '}'"));
  EXPECT_EQ(error_of("{'a': 1}"), at(2, 1, 2, "found ''a': 1}'"));
  EXPECT_EQ(error_of("{\"a\": None}"), at(7, 1, 7, "found 'None}'"));
  EXPECT_EQ(error_of("[Infinity]"), at(2, 1, 2, "found 'Infinity]'"));
  EXPECT_EQ(error_of("<!DOCTYPE html><html lang=\"en\">"),
            at(1, 1, 1, "found '<!DOCTYPE html><html lan'"));
  EXPECT_EQ(error_of("]]]"), at(1, 1, 1, "found ']]]'"));
  EXPECT_NE(error_of("\"\\"), "no error");
  EXPECT_EQ(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
            "file.json: expected the file itself, found a pointer of Git LFS; 'git lfs pull' in "
            "its folder fetches the file");
}

nlohmann::json python(std::string_view text) {
  return parse_json(text, "file.json", {.dialect = JsonDialect::kPython});
}

std::string python_error(std::string_view text) {
  return error_of(text, {.dialect = JsonDialect::kPython});
}

TEST(PythonJson, SpecialNumbers) {
  const auto value = python(
      R"({"a": [1, NaN, -Infinity, "NaN", 2.5, Infinity], "Infinity": -1e400, "b": 1E999, "c": 3})");
  EXPECT_EQ(value["a"][0], 1);
  EXPECT_TRUE(std::isnan(value["a"][1].get<double>()));
  EXPECT_EQ(value["a"][2], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value["a"][3], "NaN");
  EXPECT_EQ(value["a"][4], 2.5);
  EXPECT_EQ(value["a"][5], std::numeric_limits<double>::infinity());
  EXPECT_EQ(value["Infinity"], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value["b"], std::numeric_limits<double>::infinity());
  EXPECT_EQ(value["c"], 3);
  EXPECT_TRUE(std::isnan(python("NaN").get<double>()));
  EXPECT_EQ(python(std::string(400, '9')), std::numeric_limits<double>::infinity());
  EXPECT_EQ(python("123456789012345678901234567890"), 123456789012345678901234567890.0);
  EXPECT_EQ(python("1e-999"), 0.0);
}

TEST(PythonJson, Texts) {
  EXPECT_EQ(python(R"(["\ud83d\ude00", "\ud83d", "\ude00x", "\uD83D\u0041", "\\ud800", "\"NaN"])"),
            nlohmann::json({"\U0001f600", "\ufffd", "\ufffdx", "\ufffdA", "\\ud800", "\"NaN"}));
  EXPECT_EQ(python("{\"a\": 1, \"a\": {\"b\": 2}, \"a\": [3]}"), nlohmann::json({{"a", {3}}}));
  EXPECT_EQ(python("\xef\xbb\xbf{\"a\": 1}")["a"], 1) << "a byte order mark";
}

TEST(PythonJson, RefusesWhatJsonLoadRefuses) {
  for (const char* text : {"nan",       "+Infinity",   "- Infinity",
                           "-NaN",      "infinity",    "Infinity1",
                           "01",        "01e999",      "1e",
                           "0x1p9999",  "{a: 1}",      "{'a': 1}",
                           "[1,]",      "{\"a\": 1,}", "[1] // x",
                           "\"\\ud8\"", "\"\\x41\"",   "\"a\tb\"",
                           "True",      "None",        "1_000",
                           ".5",        "5.",          "{1: 2}",
                           "[1 2]",     "\"\\ud800",   "{\"a\": Infinity"}) {
    EXPECT_NE(python_error(text), "no error") << text;
  }
  EXPECT_EQ(python_error("{\"a\": NaN, \"b\": Infinty}"),
            "file.json: byte 17 (line 1, column 17): not valid JSON: found 'Infinty}'");
}

TEST(Json, DepthIsLimited) {
  EXPECT_EQ(error_of(nested(64)), "no error");
  EXPECT_EQ(error_of(nested(65)), "file.json: byte 64: JSON nested deeper than 64 levels");
  EXPECT_NE(error_of(std::string(10'000'000, '[')), "no error");
  EXPECT_EQ(error_of(fmt::format("\"{}\"", std::string(100, '['))), "no error");
}

TEST(Json, SizeIsLimited) {
  EXPECT_EQ(error_of("[1,2]", {.max_bytes = 5}), "no error");
  EXPECT_EQ(error_of("[1,2 ]", {.max_bytes = 5}),
            "file.json: expected at most 5 bytes of JSON, found 6");
}

TEST(Json, DuplicateKeysCanBeRejected) {
  const JsonLimits strict = {.duplicate_keys = DuplicateKeys::kReject};
  EXPECT_EQ(error_of(R"({"a": {"b": 1}, "b": {"b": 2}})", strict), "no error");
  EXPECT_EQ(error_of(R"({"a": {"b": 1, "b": 2}})", strict),
            "file.json: 'b' stands twice in one object");
  EXPECT_EQ(parse_json(R"({"a": 1, "a": 2})", "x")["a"], 2);
}

TEST(Quote, IsPrintableAndShort) {
  EXPECT_EQ(quote("name"), "'name'");
  EXPECT_EQ(quote("a\nb\x1b[0m"), "'a?b?[0m'");
  EXPECT_EQ(quote(std::string(200, 'x')), fmt::format("'{}...'", std::string(100, 'x')));
  // 99 bytes and a three-byte character: it is left out whole.
  EXPECT_EQ(quote(std::string(99, 'x') + "\u20ac"), fmt::format("'{}...'", std::string(99, 'x')));
}

}  // namespace
}  // namespace fdllm
