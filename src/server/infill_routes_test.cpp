#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/router_testing.h"

namespace fdllm::server {
namespace {

using Json = nlohmann::json;

TEST_F(RouterTest, ASuffixAsksForTheMiddle) {
  const std::string body = R"({"prompt": "Sam has 18 rocks and Olga has ",
      "suffix": " more rocks than Sam, so she has 26.", "max_tokens": 2)";
  const Json json = post("/v1/completions", body + "}");
  const std::string text = json["choices"][0]["text"];
  ASSERT_GE(text.size(), 2u);
  EXPECT_EQ(text.find("Sam"), std::string::npos);
  EXPECT_EQ(json["usage"]["prompt_tokens"],
            engine().tokenize("Sam has 18 rocks and Olga has ").size() +
                engine().tokenize(" more rocks than Sam, so she has 26.").size());
  EXPECT_EQ(json["usage"]["completion_tokens"], 2);
  const Json infill = post(
      "/v1/infill",
      R"({"text": "Sam has 18 rocks and Olga has <|hole:2|> more rocks than Sam, so she has 26."})");
  EXPECT_EQ(infill["parts"][1], text);
  std::string streamed;
  std::string reason;
  for (const std::string& event : events("/v1/completions", body + R"(, "stream": true})")) {
    if (event == "[DONE]") break;
    const Json choice = Json::parse(event)["choices"][0];
    streamed += choice["text"];
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(Json(reason), json["choices"][0]["finish_reason"]);
  const Json stopped =
      post("/v1/completions", body + R"(, "stop": )" + Json(text.substr(1, 1)).dump() + "}");
  EXPECT_EQ(stopped["choices"][0]["text"], text.substr(0, 1));
  EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop");
  const Json echoed =
      post("/v1/completions", body + R"(, "echo": true, "n": 2, "temperature": 0})");
  EXPECT_EQ(echoed["choices"][1]["text"], "Sam has 18 rocks and Olga has " + text);
  const Json by_default =
      post("/v1/completions", R"({"prompt": "", "suffix": " rocks", "logprobs": 0})");
  EXPECT_EQ(by_default["usage"]["completion_tokens"], 16);
}

TEST_F(RouterTest, EditorsGetWhatIsMissing) {
  const std::string body = R"({"input_prefix": "Sam has", "prompt": " 18",
      "input_suffix": " and Olga has 8 more.", "n_predict": 3)";
  const Json json = post("/infill", body + "}");
  EXPECT_TRUE(json["stop"]);
  EXPECT_FALSE(json["truncated"]);
  EXPECT_EQ(json["stop_type"], "limit");
  EXPECT_EQ(json["tokens_predicted"], 3);
  EXPECT_EQ(json["tokens_evaluated"], json["timings"]["prompt_n"]);
  std::string streamed;
  Json last;
  for (const std::string& event : events("/infill", body + R"(, "stream": true})")) {
    last = Json::parse(event);
    streamed += last["content"];
  }
  EXPECT_EQ(Json(streamed), json["content"]);
  EXPECT_TRUE(last["stop"]);
  // Text of which only a part fits.
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "rocks ";
  const Json long_one = post("/infill", Json({{"input_prefix", many + "Sam has 18"},
                                              {"input_suffix", " rocks. " + many},
                                              {"input_extra", {{{"text", many}}}},
                                              {"n_predict", 3}})
                                            .dump());
  EXPECT_TRUE(long_one["truncated"]);
  EXPECT_EQ(long_one["tokens_evaluated"], 512 - 3);
  // What is too far from the hole makes no difference, whatever it is.
  const std::string far(2000000, 'x');
  const Json longer = post("/infill", Json({{"input_prefix", far + many + "Sam has 18"},
                                            {"input_suffix", " rocks. " + many + far},
                                            {"input_extra", {{{"text", far}}}},
                                            {"n_predict", 3}})
                                          .dump());
  EXPECT_TRUE(longer["truncated"]);
  EXPECT_EQ(longer["tokens_evaluated"], 512 - 3);
  EXPECT_EQ(longer["content"], long_one["content"]);
  EXPECT_EQ(post("/infill", R"({"input_prefix": "", "n_predict": 600})", 400)["error"]["param"],
            "n_predict");
}

TEST_F(RouterTest, HolesWithBoundsTakeTheMostProbableLength) {
  const Json ranged = post("/v1/infill", R"({"text": "Sam has<|hole:1-3|> rocks."})");
  const Json again =
      post("/v1/infill", R"({"parts": ["Sam has", {"hole": [1, 3]}, " rocks."], "n": 2})");
  EXPECT_EQ(again["choices"][1]["text"], ranged["text"]);
  EXPECT_EQ(again["choices"].size(), 2u);
  const int length = ranged["usage"]["completion_tokens"];
  const Json fixed =
      post("/v1/infill", R"({"text": "Sam has<|hole:)" + std::to_string(length) + R"(|> rocks."})");
  EXPECT_EQ(fixed["text"], ranged["text"]);
  EXPECT_GT(ranged["usage"]["forwards"], fixed["usage"]["forwards"]);
  std::string text;
  for (const std::string& event :
       events("/v1/infill", R"({"text": "Sam has<|hole:1-3|> rocks.", "stream": true})")) {
    if (event == "[DONE]") break;
    const Json chunk = Json::parse(event);
    if (chunk["object"] == "infill.chunk" && !chunk["choices"].empty()) {
      text += chunk["choices"][0]["text"];
    }
  }
  EXPECT_EQ(Json(text), ranged["text"]);
  const auto param = [&](const std::string& body) {
    return post("/v1/infill", body, 400)["error"]["param"];
  };
  EXPECT_EQ(param(R"({"text": "a <|hole:1-65|>"})"), "text");
  EXPECT_EQ(param(R"({"text": "a <|hole:1-60|>", "n": 4})"), "n");
  EXPECT_EQ(param(R"({"text": "a <|hole:1-2|>", "remasking": "random"})"), "text");
  EXPECT_EQ(param(R"({"parts": ["a", {"hole": "1-2"}], "stream": true,
                      "stream_options": {"denoising": true}})"),
            "stream_options.denoising");
  EXPECT_EQ(param(R"({"text": "a <|hole:600|>"})"), "text");
}

TEST_F(RouterTest, InfillKeepsTheTextAroundItsHoles) {
  const Json json = post("/v1/infill", R"({"text": "Sam has <|hole:4|> rocks and <|hole:3|>."})");
  ASSERT_EQ(json["parts"].size(), 5u);
  EXPECT_EQ(json["parts"][0], "Sam has ");
  EXPECT_EQ(json["parts"][2], " rocks and ");
  EXPECT_EQ(json["usage"]["completion_tokens"], 7);
  const auto all = events("/v1/infill", R"({"parts": ["Sam has ", {"hole": 4}, " rocks."],
      "stream": true, "stream_options": {"denoising": true}})");
  ASSERT_GE(all.size(), 3u);
  const Json canvas = Json::parse(all[0])["denoising"]["canvas"];
  EXPECT_EQ(canvas["gen_length"], canvas["fixed"].size() + 4);
  const Json last = Json::parse(all[all.size() - 2]);
  EXPECT_EQ(last["parts"].size(), 3u);
  EXPECT_EQ(last["finish_reason"], "length");
  std::string text;
  for (std::size_t i = 0; i + 2 < all.size(); ++i) {
    const Json chunk = Json::parse(all[i]);
    if (!chunk["choices"].empty()) text += chunk["choices"][0]["text"];
  }
  EXPECT_EQ(Json(text), last["text"]);
}

}  // namespace
}  // namespace fdllm::server
