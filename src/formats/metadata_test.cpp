#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint.h"
#include "formats/hf_config.h"

namespace fdllm {
namespace {

constexpr const char* kText = R"({
  "count": 3, "whole": 4.0, "half": 0.5, "huge": 1e300, "unsigned": 18446744073709551615,
  "negative": -9, "flag": true, "nothing": null, "name": "llada",
  "ids": [1, 2], "names": ["a", "b"], "empty": [],
  "rope_scaling": {"factor": 2.0, "deep": {"type": "yarn"}}, "none_inside": {},
  "mixed": [1.5, "x"], "rope_scaling_other": 1
})";

Metadata sample() {
  return parse_hf_config(kText, "config.json");
}

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptFile);
    return error.what();
  }
  return "no error";
}

TEST(Metadata, TypedValues) {
  const Metadata config = sample();
  EXPECT_EQ(config.source(), "config.json");
  EXPECT_EQ(config.integer("count"), 3);
  EXPECT_EQ(config.integer("whole"), 4);
  EXPECT_EQ(config.integer("negative"), -9);
  EXPECT_EQ(config.number("count"), 3.0);
  EXPECT_EQ(config.number("half"), 0.5);
  EXPECT_EQ(config.number("unsigned"), 18446744073709551615.0);
  EXPECT_EQ(config.boolean("flag"), true);
  EXPECT_EQ(config.text("name"), "llada");
  EXPECT_EQ(config.integers("ids"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(config.integers("count"), (std::vector<std::int64_t>{3}));
  EXPECT_EQ(config.texts("names"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.texts("empty"), std::vector<std::string>{});
  EXPECT_EQ(config.integers("empty"), std::vector<std::int64_t>{});
}

TEST(Metadata, NestedKeysAreDotted) {
  const Metadata config = sample();
  EXPECT_EQ(config.number("rope_scaling.factor"), 2.0);
  EXPECT_EQ(config.text("rope_scaling.deep.type"), "yarn");
  EXPECT_EQ(config.number("mixed.0"), 1.5);
  EXPECT_EQ(config.text("mixed.1"), "x");
}

TEST(Metadata, AbsentAndNullAreAlike) {
  const Metadata config = sample();
  for (const char* key : {"absent", "nothing"}) {
    EXPECT_FALSE(config.has(key));
    EXPECT_EQ(config.integer(key), std::nullopt);
    EXPECT_EQ(config.number(key), std::nullopt);
    EXPECT_EQ(config.boolean(key), std::nullopt);
    EXPECT_EQ(config.text(key), std::nullopt);
    EXPECT_EQ(config.integers(key), std::nullopt);
    EXPECT_EQ(config.texts(key), std::nullopt);
  }
}

TEST(Metadata, ObjectsAreThere) {
  const Metadata config = sample();
  EXPECT_TRUE(config.has("rope_scaling"));
  EXPECT_TRUE(config.has("rope_scaling.deep"));
  EXPECT_TRUE(config.has("mixed"));
  EXPECT_FALSE(config.has("rope"));
  EXPECT_FALSE(config.has("none_inside"));
  EXPECT_FALSE(config.has("count.x"));
}

TEST(Metadata, WrongTypesNameFileKeyExpectedAndFound) {
  const Metadata config = sample();
  EXPECT_EQ(error_of([&] { config.integer("half"); }),
            "config.json: 'half': expected an integer, found 0.5");
  EXPECT_EQ(error_of([&] { config.integer("name"); }),
            "config.json: 'name': expected an integer, found 'llada'");
  EXPECT_EQ(error_of([&] { config.integer("rope_scaling"); }),
            "config.json: 'rope_scaling': expected an integer, found an object or a mixed list");
  EXPECT_EQ(error_of([&] { config.number("flag"); }),
            "config.json: 'flag': expected a number, found true");
  EXPECT_EQ(error_of([&] { config.boolean("count"); }),
            "config.json: 'count': expected true or false, found 3");
  EXPECT_EQ(error_of([&] { config.text("ids"); }),
            "config.json: 'ids': expected a text, found a list of 2 integers");
  EXPECT_EQ(error_of([&] { config.texts("ids"); }),
            "config.json: 'ids': expected a list of texts, found a list of 2 integers");
  EXPECT_EQ(error_of([&] { config.integers("names"); }),
            "config.json: 'names': expected an integer or a list of integers, found a list of 2 "
            "texts");
  EXPECT_NE(error_of([&] { config.integer("huge"); }), "no error");
  EXPECT_NE(error_of([&] { config.integer("unsigned"); }), "no error");
}

TEST(Metadata, Required) {
  const Metadata config = sample();
  EXPECT_EQ(config.required_integer("count"), 3);
  EXPECT_EQ(config.required_integer("count", 3, 3), 3);
  EXPECT_EQ(config.required_text("name"), "llada");
  EXPECT_EQ(error_of([&] { config.required_integer("absent"); }),
            "config.json: 'absent': expected an integer, found no such key");
  EXPECT_EQ(error_of([&] { config.required_text("nothing"); }),
            "config.json: 'nothing': expected a text, found null");
  EXPECT_EQ(error_of([&] { config.required_integer("count", 4, 9); }),
            "config.json: 'count': expected an integer from 4 to 9, found 3");
  EXPECT_EQ(error_of([&] { config.required_integer("count", 0, 2); }),
            "config.json: 'count': expected an integer from 0 to 2, found 3");
}

TEST(HfConfig, RefusesWhatIsNoObject) {
  EXPECT_EQ(error_of([] { parse_hf_config("[1]", "c.json"); }),
            "c.json: expected a JSON object, found array");
  EXPECT_NE(error_of([] { parse_hf_config(R"({"a": 1)", "c.json"); }), "no error");
}

TEST(HfConfig, ReadsWhatPythonWrites) {
  const Metadata config = parse_hf_config(
      R"({"limit": Infinity, "low": -Infinity, "none": NaN, "a": 1, "a": 2, "big": 1e999,
          "b.c": 1, "b": {"c": 2, "c.d": 3}, "list": [1, NaN], "text": "\ud800"})",
      "c.json");
  EXPECT_EQ(config.integer("a"), 2) << "the last of two keys";
  EXPECT_EQ(config.integer("b.c"), 2);
  EXPECT_EQ(config.integer("b\\.c"), 1);
  EXPECT_EQ(config.integer("b.c\\.d"), 3);
  EXPECT_EQ(config.text("text"), "\ufffd");
  EXPECT_EQ(config.number("limit"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(error_of([&] { config.integer("limit"); }),
            "c.json: 'limit': expected an integer, found Infinity");
  EXPECT_EQ(error_of([&] { config.integer("low"); }),
            "c.json: 'low': expected an integer, found -Infinity");
  EXPECT_EQ(error_of([&] { config.text("none"); }), "c.json: 'none': expected a text, found NaN");
  EXPECT_EQ(error_of([&] { config.integers("list"); }),
            "c.json: 'list': expected an integer or a list of integers, found an object or a mixed "
            "list");
}

TEST(HfConfig, LongKeysDoNotMultiply) {
  const std::string key(1 << 20, 'k');
  std::string text = "{\"" + key + "\": [0.5";
  for (int i = 0; i < 100; ++i) text += ", 0.5";
  text += "]}";
  EXPECT_NE(error_of([&] { parse_hf_config(text, "c.json"); }).find("bytes of keys"),
            std::string::npos);
}

TEST(TensorView, ElementsAndShapeText) {
  TensorView view;
  view.shape = {2, 3, 4};
  EXPECT_EQ(view.elements(), 24);
  EXPECT_EQ(shape_text(view.shape), "[2, 3, 4]");
  EXPECT_EQ(shape_text({}), "[]");
}

}  // namespace
}  // namespace fdllm
