#include "model/families/rope.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/hf_config.h"

namespace fdllm {
namespace {

constexpr double kFallback = 12345.0;

double theta_of(const std::string& text) {
  return read_rope_theta(parse_hf_config(text, "config.json"), kFallback, 64);
}

std::string error_of(const std::string& text, ErrorCode code) {
  try {
    theta_of(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

void expect_unsupported(const std::string& text, const std::string& key) {
  const std::string message = error_of(text, ErrorCode::kUnsupported);
  EXPECT_NE(message.find("config.json: '" + key + "'"), std::string::npos)
      << text << ": " << message;
}

TEST(Rope, ThetaStandsInAnyPlace) {
  EXPECT_EQ(theta_of("{}"), kFallback);
  for (const char* text :
       {R"({"rope_theta": 5e5})", R"({"rope_theta": 500000})", R"({"rope_base": 5e5})",
        R"({"rotary_emb_base": 5e5})",
        R"({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}})",
        R"({"rope_scaling": {"type": "default", "rope_theta": 5e5}, "rope_theta": null})",
        R"({"rope_theta": 5e5, "rope_scaling": null, "rope_parameters": null})",
        R"({"rope_theta": 5e5, "rope_scaling": {}, "rope_parameters": {}})",
        R"({"rope_theta": 5e5, "rope_scaling": {"rope_type": "default"}})",
        R"({"rope_theta": 5e5, "rope_scaling": {"type": "default", "rope_type": null}})",
        R"({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 1.0}})",
        R"({"rope_theta": 5e5, "rope_parameters": {"rope_theta": 500000.0}})",
        R"({"rope_theta": 5e5, "partial_rotary_factor": 1.0, "rotary_pct": 1, "rotary_dim": 64,
            "rope_full_precision": true, "use_mrope": false, "position_embedding_type": "rope"})",
        R"({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 1.0, "factor": 1.0,
            "attention_factor": null, "original_max_position_embeddings": 4096}})",
        R"({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5e5}}})",
        R"({"layer_types": ["full_attention"], "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 5e5},
            "sliding_attention": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0},
            "chunked_attention": null}})"}) {
    EXPECT_EQ(theta_of(text), 5e5) << text;
  }
}

TEST(Rope, PlacesMustAgree) {
  EXPECT_EQ(error_of(R"({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}})",
                     ErrorCode::kCorruptFile),
            "config.json: 'rope_parameters.rope_theta': expected 10000, as 'rope_theta' says, "
            "found 500000");
  for (const char* text :
       {R"({"rope_theta": 1e4, "rope_base": 5e5})",
        R"({"rope_scaling": {"rope_theta": 1e4}, "rope_parameters": {"rope_theta": 5e5}})",
        R"({"rope_theta": 1e6, "rope_local_base_freq": 1e4})",
        R"({"rope_parameters": {"full_attention": {"rope_theta": 1e6},
                                "sliding_attention": {"rope_theta": 1e4}}})"}) {
    EXPECT_NE(error_of(text, ErrorCode::kCorruptFile), "no error") << text;
  }
}

TEST(Rope, BadNumbersAreNamed) {
  for (const char* value :
       {"0", "-1", "1e300", "NaN", "Infinity", "-Infinity", "\"1e4\"", "[1]", "true", "{}x"}) {
    const std::string text = fmt::format(R"({{"rope_parameters": {{"rope_theta": {}}}}})", value);
    EXPECT_NE(error_of(text, ErrorCode::kCorruptFile), "no error") << text;
  }
  EXPECT_NE(error_of(R"({"rope_theta": NaN})", ErrorCode::kCorruptFile).find("'rope_theta'"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"rope_scaling": true})", ErrorCode::kCorruptFile), "no error");
  EXPECT_NE(error_of(R"({"rope_parameters": [1]})", ErrorCode::kCorruptFile), "no error");
}

TEST(Rope, OtherKindsAreRefusedByName) {
  for (const std::string type : {"linear", "dynamic", "yarn", "llama3", "longrope", "su", "mrope",
                                 "proportional", "axial"}) {
    for (const std::string section : {"rope_scaling", "rope_parameters"}) {
      for (const std::string key : {"type", "rope_type"}) {
        expect_unsupported(
            "{\"" + section + "\": {\"" + key + "\": \"" + type + "\", \"rope_theta\": 1e4}}",
            section + '.' + key);
      }
    }
    expect_unsupported(
        R"({"rope_parameters": {"full_attention": {"rope_type": ")" + type + R"("}}})",
        "rope_parameters.full_attention.rope_type");
    expect_unsupported(R"({"rope_scaling_type": ")" + type + R"("})", "rope_scaling_type");
  }
  expect_unsupported(R"({"rope_scaling": {"type": "default", "rope_type": "yarn"}})",
                     "rope_scaling.rope_type");
  expect_unsupported(R"({"rope_scaling": {"factor": 2.0}})", "rope_scaling.factor");
  expect_unsupported(R"({"rope_scaling": {"type": "linear", "factor": 2.0}})",
                     "rope_scaling.factor");
  expect_unsupported(R"({"rope_parameters": {"attention_factor": 1.2}})",
                     "rope_parameters.attention_factor");
  expect_unsupported(R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
                     "rope_parameters.partial_rotary_factor");
  expect_unsupported(R"({"rope_scaling": {"mrope_section": [16, 24, 24]}})",
                     "rope_scaling.mrope_section");
  expect_unsupported(R"({"rope_scaling": {"short_factor": [1.5, 2.0]}})",
                     "rope_scaling.short_factor");
  expect_unsupported(R"({"rope_scaling": {"anything": {"else": 1}}})", "rope_scaling.anything");
  expect_unsupported(R"({"rope_parameters": {"full_attention": null}})",
                     "rope_parameters.full_attention");
}

TEST(Rope, OtherKindsAtTheTop) {
  expect_unsupported(R"({"partial_rotary_factor": 0.25})", "partial_rotary_factor");
  expect_unsupported(R"({"rotary_pct": 0.25})", "rotary_pct");
  expect_unsupported(R"({"rope_ratio": 16})", "rope_ratio");
  expect_unsupported(R"({"rope_scaling_factor": 2})", "rope_scaling_factor");
  expect_unsupported(R"({"rotary_dim": 32})", "rotary_dim");
  expect_unsupported(R"({"rope_full_precision": false})", "rope_full_precision");
  expect_unsupported(R"({"use_mrope": true})", "use_mrope");
  expect_unsupported(R"({"use_dynamic_ntk": true})", "use_dynamic_ntk");
  expect_unsupported(R"({"no_rope_layers": [1, 1, 0]})", "no_rope_layers");
  expect_unsupported(R"({"position_embedding_type": "absolute"})", "position_embedding_type");
}

}  // namespace
}  // namespace fdllm
