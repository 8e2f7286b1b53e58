#include "server/router.h"

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

#include "server/planning.h"

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

/// The routes on the shipped model, without sockets.
class RouterTest : public ::testing::Test {
 protected:
  static Engine& engine() {
    static Engine loaded = [] {
      EngineOptions options;
      options.progress_seconds = 0;  // fast forwards are told about, too
      return Engine::load(std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / "llada-nano",
                          options);
    }();
    return loaded;
  }

  HttpResponse send(const std::string& method, const std::string& path,
                    const std::string& body = {}) {
    HttpRequest request = base_;
    request.method = method;
    request.path = path;
    request.body = body;
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    return answer(context_, request);
  }

  Json post(const std::string& path, const std::string& body, int status = 200) {
    const HttpResponse response = send("POST", path, body);
    EXPECT_EQ(response.status, status) << response.body;
    return Json::parse(response.body);
  }

  /// The data of the events of a streamed answer.
  std::vector<std::string> events(const std::string& path, const std::string& body) {
    const HttpResponse response = send("POST", path, body);
    EXPECT_EQ(response.content_type, "text/event-stream") << response.body;
    std::string text;
    if (response.stream) {
      EXPECT_TRUE(response.stream([&](std::string_view piece) {
        text += piece;
        return true;
      }));
    }
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find("\n\n", at);
      found.push_back(text.substr(at + 6, end - at - 6));
      at = end + 2;
    }
    return found;
  }

  HttpRequest base_;
  ServerOptions options_;
  Metrics metrics_;
  Service service_{engine(), {}, [this](const ForwardInfo& info) { metrics_.forward(info); }};
  Context context_{.engine = engine(),
                   .service = service_,
                   .metrics = metrics_,
                   .options = options_,
                   .model = "nano",
                   .created = 1};
};

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
  EXPECT_EQ(text, last["text"]);
}

TEST_F(RouterTest, RefusesWithTheFieldsName) {
  const auto param = [&](const std::string& fields) {
    return post("/v1/chat/completions", std::string(kChat) + ", " + fields + "}",
                400)["error"]["param"];
  };
  EXPECT_EQ(param(R"("gen_length": -33)"), "gen_length");
  EXPECT_EQ(param(R"("threshold": 2)"), "threshold");
  EXPECT_EQ(param(R"("threshold": 0.5, "factor": 1)"), "threshold");
  EXPECT_EQ(param(R"("gen_length": 2147483647)"), "max_tokens");
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
