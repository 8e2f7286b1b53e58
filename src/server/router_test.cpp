#include <algorithm>
#include <array>
#include <filesystem>
#include <future>
#include <map>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "engine/answer_cut.h"
#include "server/router_testing.h"

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kChat = R"({"messages": [{"role": "user", "content":
  "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many rocks do they have together?"}])";

TEST_F(RouterTest, AnswersAChatAsTheEngineDoes) {
  const ChatMessage message = {
      "user",
      "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many rocks do they have together?"};
  GenerateRequest request;
  request.prompt_ids = engine().tokenize(engine().apply_chat_template(std::span(&message, 1)));
  const Json json = post("/v1/chat/completions", std::string(kChat) + "}");
  Service* const service = &service_;
  std::string expected;
  {
    // The engine is the service's while there is one: its answer comes the same way.
    std::promise<GenerateResult> promise;
    service->submit(request, {.on_step = {}, .on_result = [&](GenerateResult result) {
                                promise.set_value(std::move(result));
                              }});
    const GenerateResult result = promise.get_future().get();
    expected = result.text;
    EXPECT_EQ(json["usage"]["completion_tokens"], result.ids.size());
    EXPECT_EQ(json["usage"]["forwards"], result.refresh_forwards + result.window_forwards);
  }
  EXPECT_EQ(json["choices"][0]["message"]["content"], expected);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["prompt_tokens"], request.prompt_ids.size());
}

TEST_F(RouterTest, StreamsTheSameTextOnce) {
  const std::string whole =
      post("/v1/chat/completions", std::string(kChat) + "}")["choices"][0]["message"]["content"];
  std::string text;
  std::string reason;
  int canvases = 0;
  std::size_t committed = 0;
  const auto all =
      events("/v1/chat/completions",
             std::string(kChat) + R"(, "stream": true, "stream_options": {"denoising": true}})");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back(), "[DONE]");
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const Json chunk = Json::parse(all[i]);
    if (chunk.contains("denoising")) {
      EXPECT_TRUE(chunk["choices"].empty());
      canvases += chunk["denoising"].contains("canvas");
      if (chunk["denoising"].contains("committed")) {
        committed += chunk["denoising"]["committed"].size();
      }
    }
    if (chunk["choices"].empty()) continue;
    const Json& choice = chunk["choices"][0];
    if (choice["delta"].contains("content")) text += choice["delta"]["content"];
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
  }
  EXPECT_EQ(text, whole);
  EXPECT_EQ(reason, "stop");
  EXPECT_EQ(canvases, 1);
  EXPECT_GE(committed, 30u);
  EXPECT_TRUE(Json::parse(all[all.size() - 2]).contains("usage"));
}

TEST_F(RouterTest, MaxTokensIsALimit) {
  const std::string body = std::string(kChat) + R"(, "max_tokens": 5)";
  const Json json = post("/v1/chat/completions", body + "}");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["completion_tokens"], 5);
  std::string text;
  for (const std::string& event : events("/v1/chat/completions", body + R"(, "stream": true})")) {
    if (event == "[DONE]") break;
    const Json delta = Json::parse(event)["choices"][0]["delta"];
    if (delta.contains("content")) text += delta["content"];
  }
  EXPECT_EQ(json["choices"][0]["message"]["content"], Json(text));
}

TEST_F(RouterTest, TheCanvasIsAsLongAsTheLimit) {
  const auto answer = [&](const char* field, int value) {
    const Json body = {
        {"prompt", "Sam has"}, {field, value}, {"eos_stop", false}, {"threshold", 0.5}};
    return post("/v1/completions", body.dump());
  };
  for (const int limit : {1, 20, 33, 65}) {
    const Json json = answer("max_tokens", limit);
    EXPECT_LE(json["usage"]["completion_tokens"], limit);
    EXPECT_EQ(json["choices"][0]["text"], answer("gen_length", limit)["choices"][0]["text"]);
  }
}

TEST_F(RouterTest, WithoutALimitThePromptMayLeaveLessThanTheDefault) {
  const std::int64_t positions = engine().info().max_positions;
  const auto body = [](std::int64_t length) {
    return Json{{"prompt", std::vector<int>(static_cast<std::size_t>(length), 40)}, {"echo", false}}
        .dump();
  };
  const Json json = post("/v1/completions", body(positions - 10));
  EXPECT_LE(json["usage"]["completion_tokens"], 10);
  EXPECT_EQ(post("/v1/completions", body(positions), 400)["error"]["param"], "prompt");
}

/// A completion of a prompt of so many ids.
std::string completion_of(int ids, const std::string& fields) {
  std::string list;
  for (int i = 0; i < ids; ++i) list += (i == 0 ? "" : ",") + std::to_string(300 + i % 50);
  return R"({"prompt": [)" + list + "]" + fields + "}";
}

TEST_F(RouterTest, WhatFitsIsServed) {
  // 512 positions.
  const auto canvas = [&](int ids, const std::string& fields) {
    const auto all = events("/v1/completions", completion_of(ids, fields + R"(, "stream": true,
                   "stream_options": {"denoising": true})"));
    return Json::parse(all.at(0))["denoising"]["canvas"]["gen_length"];
  };
  EXPECT_EQ(canvas(20, R"(, "max_tokens": 490)"), 490);
  EXPECT_EQ(canvas(20, R"(, "max_tokens": 492)"), 492);
  EXPECT_EQ(canvas(20, R"(, "max_completion_tokens": 33)"), 33);
  EXPECT_EQ(canvas(20, R"(, "max_tokens": 33, "preset": "fast")"), 33);
  EXPECT_EQ(canvas(20, R"(, "gen_length": 64, "max_tokens": 33)"), 64);
  EXPECT_EQ(canvas(400, ""), 112);
  EXPECT_EQ(canvas(511, ""), 1);
  EXPECT_EQ(canvas(20, ""), 128);
  const Json all = post("/v1/completions", completion_of(20, R"(, "max_tokens": 77,
      "min_tokens": 77, "ignore_eos": true)"));
  EXPECT_EQ(all["usage"]["completion_tokens"], 77);
}

TEST_F(RouterTest, LengthsThatDontFitNameWhatWasSent) {
  const auto error = [&](int ids, const std::string& fields) {
    const Json json = post("/v1/completions", completion_of(ids, fields), 400)["error"];
    EXPECT_EQ(json["code"], "context_length_exceeded");
    EXPECT_THAT(std::string(json["message"]), HasSubstr("512"));
    return std::string(json["param"]);
  };
  EXPECT_EQ(error(20, R"(, "max_tokens": 493)"), "max_tokens");
  EXPECT_EQ(error(20, R"(, "max_completion_tokens": 493)"), "max_completion_tokens");
  EXPECT_EQ(error(20, R"(, "n_predict": 493)"), "n_predict");
  EXPECT_EQ(error(20, R"(, "gen_length": 493)"), "gen_length");
  EXPECT_EQ(error(512, ""), "prompt");
  EXPECT_EQ(error(600, R"(, "max_tokens": 1)"), "prompt");
  EXPECT_EQ(error(500, R"(, "suffix": "of the twelve rocks that he has there now")"), "prompt");
  EXPECT_EQ(error(20, R"(, "suffix": "rocks", "max_tokens": 492)"), "max_tokens");
}

TEST_F(RouterTest, CompletionsTakeSeveralPromptsAndAnswers) {
  const Json json = post("/v1/completions",
                         R"({"prompt": ["Sam has", "Olga has"], "n": 2, "echo": true,
                             "max_tokens": 8, "temperature": 0})");
  ASSERT_EQ(json["choices"].size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    const std::string text = json["choices"][i]["text"];
    EXPECT_TRUE(text.starts_with(i < 2 ? "Sam has" : "Olga has")) << text;
  }
  EXPECT_EQ(json["choices"][0]["text"], json["choices"][1]["text"]);
}

TEST_F(RouterTest, LogprobsAreLogarithmsOfConfidences) {
  const Json json =
      post("/v1/completions", R"({"prompt": "Sam has", "max_tokens": 8, "logprobs": 0})");
  const Json& logprobs = json["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), json["usage"]["completion_tokens"]);
  for (const Json& value : logprobs["token_logprobs"]) {
    EXPECT_LE(value, 0);
    EXPECT_GT(value, -50);
  }
  post("/v1/completions", R"({"prompt": "a", "logprobs": 0, "remasking": "random"})", 400);
}

TEST_F(RouterTest, TellsOfLongForwardsWhereDenoisingIsAskedFor) {
  const std::string chat = std::string(kChat) + R"(, "n": 2, "temperature": 0.5, "stream": true)";
  const auto layers = engine().info().layers;
  std::array<int, 2> told{}, steps{}, last_layers{};
  for (const std::string& data :
       events("/v1/chat/completions", chat + R"(, "stream_options": {"denoising": true}})")) {
    if (data == "[DONE]") continue;
    const Json chunk = Json::parse(data);
    if (chunk.contains("denoising") && chunk["denoising"].contains("step")) {
      const auto choice = chunk["denoising"]["choice"].get<std::size_t>();
      EXPECT_EQ(chunk["denoising"]["step"], steps.at(choice)++);
      last_layers.at(choice) = 0;
    }
    if (!chunk.contains("forward")) continue;
    EXPECT_TRUE(chunk["choices"].empty());
    EXPECT_FALSE(chunk.contains("denoising"));
    const Json& forward = chunk["forward"];
    const auto choice = forward["choice"].get<std::size_t>();
    ++told.at(choice);
    EXPECT_EQ(forward["step"], steps.at(choice));
    EXPECT_EQ(forward["layers"], layers);
    EXPECT_GT(forward["layers_done"], last_layers.at(choice));
    EXPECT_LE(forward["layers_done"], layers);
    last_layers.at(choice) = forward["layers_done"];
    EXPECT_GT(forward["rows"], 64);
    EXPECT_GE(forward["seconds"], 0);
  }
  EXPECT_GT(told[0], 0);
  EXPECT_GT(told[1], 0);
  for (const std::string& data : events("/v1/chat/completions", chat + "}")) {
    EXPECT_EQ(data.find("\"forward\""), std::string::npos);
    EXPECT_EQ(data.find("denoising"), std::string::npos);
  }
}

TEST_F(RouterTest, TextOffsetsCountCharacters) {
  // At temperature 2 answers have several kinds of tokens in them.
  bool has_wide = false;
  const ChatMessage message = {"user", "£5 and é"};
  const std::string prompt = engine().apply_chat_template(std::span(&message, 1));
  for (int seed = 0; seed < 12; ++seed) {
    const Json choice = post("/v1/completions", Json({{"prompt", prompt},
                                                      {"max_tokens", 48},
                                                      {"logprobs", 0},
                                                      {"temperature", 3},
                                                      {"seed", seed}})
                                                    .dump())["choices"][0];
    const std::string text = choice["text"];
    const Json& logprobs = choice["logprobs"];
    has_wide |= count_characters(text) != text.size();
    std::size_t least = 0;
    for (std::size_t i = 0; i < logprobs["tokens"].size(); ++i) {
      const std::size_t offset = logprobs["text_offset"][i];
      EXPECT_GE(offset, least);
      least = offset;
      const std::string token = logprobs["tokens"][i];
      if (token.starts_with("<|") || token.find("\xEF\xBF\xBD") != std::string::npos) continue;
      std::size_t at = 0;
      for (std::size_t n = 0; n < offset; ++n) {
        while (++at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
        }
      }
      EXPECT_EQ(text.compare(at, token.size(), token), 0) << token << " at " << offset;
    }
  }
  EXPECT_TRUE(has_wide);
}

TEST_F(RouterTest, BytesOfLogprobsAreThoseOfTheText) {
  const Json choice =
      post("/v1/chat/completions", std::string(kChat) + R"(, "max_tokens": 32, "logprobs": true,
                               "temperature": 3})")["choices"][0];
  std::string bytes;
  for (const Json& token : choice["logprobs"]["content"]) {
    for (const Json& byte : token["bytes"]) bytes += static_cast<char>(byte.get<int>());
  }
  const std::string text = choice["message"]["content"];
  EXPECT_EQ(count_characters(bytes), count_characters(text));
}

TEST_F(RouterTest, UsageIsNullInAllChunksButTheLast) {
  for (const std::string& options :
       {std::string(R"({"include_usage": true})"),
        std::string(R"({"include_usage": true, "denoising": true})")}) {
    const auto all =
        events("/v1/chat/completions",
               std::string(kChat) + R"(, "stream": true, "stream_options": )" + options + "}");
    ASSERT_GT(all.size(), 4u);
    for (std::size_t i = 0; i + 2 < all.size(); ++i) {
      const Json chunk = Json::parse(all[i]);
      ASSERT_TRUE(chunk.contains("usage")) << all[i];
      EXPECT_TRUE(chunk["usage"].is_null());
    }
    const Json last = Json::parse(all[all.size() - 2]);
    EXPECT_TRUE(last["choices"].empty());
    EXPECT_GT(last["usage"]["completion_tokens"], 0);
    const Json reason = Json::parse(all[all.size() - 3])["choices"][0];
    EXPECT_EQ(reason["delta"], Json::object());
    EXPECT_EQ(reason["finish_reason"], "stop");
  }
  for (const std::string& event :
       events("/v1/chat/completions", std::string(kChat) + R"(, "stream": true})")) {
    if (event == "[DONE]") break;
    EXPECT_FALSE(Json::parse(event).contains("usage")) << event;
  }
}

TEST_F(RouterTest, StopTokenIdsAreTheModelsEnds) {
  const std::string end = std::to_string(engine().info().end_tokens.front());
  post("/v1/chat/completions", std::string(kChat) + R"(, "stop_token_ids": [)" + end + "]}");
  EXPECT_EQ(post("/v1/chat/completions", std::string(kChat) + R"(, "stop_token_ids": [300]})",
                 400)["error"]["param"],
            "stop_token_ids");
}

TEST_F(RouterTest, TemplateVariablesPassWhereTheTemplateHasNone) {
  post("/v1/chat/completions",
       std::string(kChat) + R"(, "chat_template_kwargs": {"enable_thinking": false}})");
  EXPECT_EQ(post("/v1/chat/completions",
                 std::string(kChat) + R"(, "chat_template_kwargs": {"messages": []}})",
                 400)["error"]["param"],
            "chat_template_kwargs");
}

TEST_F(RouterTest, NegativeSeedsGoOnThroughZero) {
  const Json two = post("/v1/chat/completions",
                        std::string(kChat) + R"(, "seed": -1, "n": 2, "temperature": 2})");
  const Json zero =
      post("/v1/chat/completions", std::string(kChat) + R"(, "seed": 0, "temperature": 2})");
  EXPECT_EQ(two["choices"][1]["message"], zero["choices"][0]["message"]);
  EXPECT_NE(two["choices"][0]["message"], two["choices"][1]["message"]);
}

TEST_F(RouterTest, RefusesWithTheFieldsName) {
  const auto param = [&](const std::string& fields) {
    return post("/v1/chat/completions", std::string(kChat) + ", " + fields + "}",
                400)["error"]["param"];
  };
  EXPECT_EQ(param(R"("gen_length": -33)"), "gen_length");
  EXPECT_EQ(param(R"("threshold": 2)"), "threshold");
  EXPECT_EQ(param(R"("threshold": 0.5, "factor": 1)"), "threshold");
  EXPECT_EQ(param(R"("gen_length": 2147483647)"), "gen_length");
  EXPECT_EQ(param(R"("max_tokens": 16777216)"), "max_tokens");
  EXPECT_EQ(param(R"("alg": "entropy")"), "alg");
  EXPECT_EQ(post("/v1/completions", R"({"prompt": [99999999]})", 400)["error"]["param"], "prompt");
  EXPECT_EQ(post("/v1/chat/completions", std::string(kChat) + R"(, "model": "gpt"})",
                 404)["error"]["code"],
            "model_not_found");
  options_.max_prompt_tokens = 4;
  EXPECT_EQ(post("/v1/chat/completions", std::string(kChat) + "}", 400)["error"]["code"],
            "context_length_exceeded");
}

TEST_F(RouterTest, TokenizesWhatFitsIntoTheModel) {
  const std::string many(2000000, 'x');
  for (const Json& body :
       {Json{{"prompt", many}}, Json{{"messages", {{{"role", "user"}, {"content", many}}}}}}) {
    const Json error = post("/tokenize", body.dump(), 400)["error"];
    EXPECT_EQ(error["code"], "context_length_exceeded");
    EXPECT_TRUE(body.contains(error["param"].get<std::string>()));
  }
}

TEST_F(RouterTest, TokenizesAndBack) {
  const Json tokens = post("/tokenize", R"({"prompt": "Sam has é", "return_token_strs": true})");
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["token_strs"].size(), tokens["tokens"].size());
  const Json back = post("/detokenize", Json({{"tokens", tokens["tokens"]}}).dump());
  EXPECT_EQ(back["prompt"], "Sam has é");
  post("/detokenize", R"({"tokens": [99999999]})", 400);
  const Json info = Json::parse(send("GET", "/tokenizer_info").body);
  EXPECT_EQ(info["chat_template"], engine().info().chat_template);
  EXPECT_EQ(post("/tokenize", Json({{"prompt", info["eos_token"]}}).dump())["tokens"][0],
            engine().info().end_tokens.front());
}

TEST_F(RouterTest, KnowsItsPathsAndMethods) {
  EXPECT_EQ(send("GET", "/health").status, 200);
  EXPECT_EQ(send("HEAD", "/ready").status, 200);
  EXPECT_EQ(send("GET", "/").status, 200);
  EXPECT_EQ(send("GET", "/page/main.js").status, 200);
  EXPECT_EQ(send("GET", "/page/none.js").status, 404);
  EXPECT_EQ(send("GET", "/page/").status, 404);
  EXPECT_EQ(send("GET", "/v1/models/nano").status, 200);
  EXPECT_EQ(send("GET", "/v1/models/other").status, 404);
  EXPECT_EQ(send("GET", "/v1/none").status, 404);
  EXPECT_EQ(send("POST", "/v1/chat/completions").status, 415);
  const HttpResponse wrong = send("DELETE", "/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_NE(std::ranges::find(wrong.headers,
                              std::pair<std::string, std::string>("Allow", "POST, OPTIONS")),
            wrong.headers.end());
  EXPECT_EQ(send("OPTIONS", "/v1/models").status, 204);
  EXPECT_THAT(send("GET", "/metrics").body, HasSubstr("fastdllm_refused_total{status=\"404\"} 4"));
}

TEST_F(RouterTest, UnderstandsThePathsThatClientsMake) {
  for (const char* path : {"/v1/models/", "//v1/models", "/v1//models//", "/models", "/models/",
                           "/v1/v1/models", "/v1/models/nano/", "/models/nano", "/v1/health"}) {
    EXPECT_EQ(send("GET", path).status, 200) << path;
    EXPECT_EQ(send("OPTIONS", path).status, 204) << path;
  }
  for (const char* path :
       {"/chat/completions", "/v1/chat/completions/", "/v1/v1/chat/completions"}) {
    post(path, std::string(kChat) + R"(, "max_tokens": 4})");
  }
  EXPECT_EQ(send("DELETE", "/chat/completions").status, 405);
  const Json wrong = Json::parse(send("GET", "/api/v1/models").body);
  EXPECT_THAT(wrong["error"]["message"].get<std::string>(), HasSubstr("did you mean /v1/models?"));
}

TEST_F(RouterTest, ContentTypesHaveNoCase) {
  for (const char* type : {"Application/JSON", "application/json;charset=utf-8",
                           "application/json ; charset=UTF-8", "\tAPPLICATION/JSON"}) {
    HttpRequest request;
    request.method = "POST";
    request.path = "/tokenize";
    request.body = R"({"prompt": "a"})";
    request.headers = {{"content-type", type}};
    EXPECT_EQ(answer(context_, request).status, 200) << type;
    request.headers = {{"content-type", "text/plain"}};
    EXPECT_EQ(answer(context_, request).status, 415);
  }
}

TEST_F(RouterTest, IsNotAskedUnderNamesOfOthers) {
  base_.is_loopback = true;
  base_.host = "localhost:8080";
  EXPECT_EQ(send("GET", "/v1/models").status, 200);
  base_.host = "evil.example";
  for (const char* path : {"/v1/models", "/", "/health", "/nowhere"}) {
    EXPECT_EQ(send("GET", path).status, 403) << path;
  }
  EXPECT_THAT(send("GET", "/v1/models").body, HasSubstr("--allow-host"));
}

TEST_F(RouterTest, WantsTheKeyWhereThereIsOne) {
  options_.api_key = "key";
  EXPECT_EQ(send("GET", "/v1/models").status, 401);
  EXPECT_EQ(send("GET", "/metrics").status, 401);
  EXPECT_EQ(send("GET", "/health").status, 200);
  EXPECT_EQ(send("GET", "/").status, 200);
  base_.headers.emplace_back("Authorization", "Bearer key");
  EXPECT_EQ(send("GET", "/v1/models").status, 200);
}

TEST_F(RouterTest, DrainingIsNotReady) {
  service_.drain();
  context_.draining = true;
  EXPECT_EQ(send("GET", "/ready").status, 503);
  EXPECT_EQ(send("GET", "/health").status, 200);
  EXPECT_EQ(post("/v1/chat/completions", std::string(kChat) + "}", 503)["error"]["code"],
            "draining");
}

TEST_F(RouterTest, AClientThatHasGoneFreesItsRequest) {
  base_.connected = [] { return false; };
  const std::string body =
      std::string(kChat) +
      R"(, "n": 50, "temperature": 0.5, "gen_length": 384, "block_length": 8, "steps": 384)";
  EXPECT_EQ(send("POST", "/v1/chat/completions", body + "}").status, 499);
  const HttpResponse stream = send("POST", "/v1/chat/completions", body + R"(, "stream": true})");
  ASSERT_TRUE(stream.stream);
  EXPECT_FALSE(stream.stream([](std::string_view) { return false; }));
}

TEST_F(RouterTest, EqualAnswersAreGeneratedOnce) {
  const Json one = post("/v1/chat/completions", std::string(kChat) + "}");
  const Json four = post("/v1/chat/completions", std::string(kChat) + R"(, "n": 4})");
  ASSERT_EQ(four["choices"].size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(four["choices"][i]["index"], i);
    EXPECT_EQ(four["choices"][i]["message"], one["choices"][0]["message"]);
    EXPECT_EQ(four["choices"][i]["finish_reason"], one["choices"][0]["finish_reason"]);
  }
  EXPECT_EQ(four["usage"]["forwards"], one["usage"]["forwards"]);
  EXPECT_EQ(four["usage"]["completion_tokens"], 4 * one["usage"]["completion_tokens"].get<int>());
  EXPECT_EQ(four["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
  // What draws is generated for each seed.
  const Json drawn =
      post("/v1/chat/completions", std::string(kChat) + R"(, "n": 4, "temperature": 2})");
  EXPECT_GT(drawn["usage"]["forwards"], 3 * one["usage"]["forwards"].get<int>());
  EXPECT_NE(drawn["choices"][0]["message"], drawn["choices"][1]["message"]);
}

TEST_F(RouterTest, EqualAnswersAreStreamedToEveryIndex) {
  const HttpResponse stream =
      send("POST", "/v1/completions",
           R"({"prompt": ["Sam has", "Olga has", "Sam has"], "n": 2, "gen_length": 32, "echo": true,
               "stream": true, "stream_options": {"include_usage": true}})");
  ASSERT_TRUE(stream.stream);
  std::string events;
  EXPECT_TRUE(stream.stream([&](std::string_view text) {
    events += text;
    return true;
  }));
  std::map<int, std::string> texts;
  std::map<int, int> ends;
  std::istringstream lines(events);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("data: {")) continue;
    const Json chunk = Json::parse(line.substr(6));
    for (const Json& choice : chunk["choices"]) {
      texts[choice["index"]] += choice["text"].get<std::string>();
      ends[choice["index"]] += !choice["finish_reason"].is_null();
    }
  }
  ASSERT_EQ(texts.size(), 6u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ends[i], 1) << i;
  for (const int same : {1, 4, 5}) EXPECT_EQ(texts[same], texts[0]);
  EXPECT_EQ(texts[3], texts[2]);
  EXPECT_THAT(texts[0], ::testing::StartsWith("Sam has"));
  EXPECT_THAT(texts[2], ::testing::StartsWith("Olga has"));
}

TEST_F(RouterTest, TooManyWaitingAreRefused) {
  Service small(engine(), {.max_waiting = 1});
  Context context{.engine = engine(),
                  .service = small,
                  .metrics = metrics_,
                  .options = options_,
                  .model = "nano"};
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::string(kChat) + R"(, "n": 128, "temperature": 0.5})";
  const HttpResponse response = answer(context, request);
  EXPECT_EQ(response.status, 429) << response.body;
  EXPECT_EQ(Json::parse(response.body)["error"]["type"], "rate_limit_error");
  EXPECT_NE(
      std::ranges::find(response.headers, std::pair<std::string, std::string>("Retry-After", "1")),
      response.headers.end());
}

}  // namespace
}  // namespace fdllm::server
