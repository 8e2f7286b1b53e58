#include "base/json.h"

#include <string>

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

TEST(Json, SyntaxErrorsNameTheFileAndTheByte) {
  EXPECT_EQ(error_of(R"({"a": )"), "file.json: byte 7: not valid JSON; was the file cut off?");
  EXPECT_NE(error_of(""), "no error");
  EXPECT_NE(error_of("{} x"), "no error");
  EXPECT_NE(error_of("\"\xff\""), "no error");
  EXPECT_NE(error_of("\"\\"), "no error");
  EXPECT_NE(error_of("]]]"), "no error");
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
