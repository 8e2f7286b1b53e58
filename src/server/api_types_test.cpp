#include "server/api_types.h"

#include <array>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

struct BadBody {
  const char* body;
  const char* param;    ///< of the error
  const char* message;  ///< a part of it
};

template <typename Request>
void expect_refused(Request (*parse)(std::string_view), const std::vector<BadBody>& table) {
  for (const BadBody& bad : table) {
    SCOPED_TRACE(bad.body);
    try {
      parse(bad.body);
      ADD_FAILURE() << "was accepted";
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status, 400);
      EXPECT_EQ(error.param, bad.param);
      EXPECT_THAT(error.what(), HasSubstr(bad.message));
      const Json json = Json::parse(error_json(error));
      EXPECT_EQ(json["error"]["type"], "invalid_request_error");
      EXPECT_EQ(json["error"]["message"], error.what());
    }
  }
}

std::string chat_with(const std::string& fields) {
  return R"({"messages": [{"role": "user", "content": "Hi"}], )" + fields + "}";
}

TEST(ChatRequest, TakesWhatOpenAisClientsSend) {
  const ChatRequest chat = parse_chat_request(chat_with(
      R"("model": "m", "temperature": 0.5, "top_p": 1, "n": 2, "stream": true, "stop": ["a", "b"],
         "stream_options": {"include_usage": true}, "max_completion_tokens": 20, "seed": 7,
         "user": "me", "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
         "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": true,
         "top_logprobs": 0, "metadata": {"a": "b"}, "store": false, "functions": null)"));
  EXPECT_EQ(chat.model, "m");
  EXPECT_EQ(chat.options.temperature, 0.5);
  EXPECT_EQ(chat.options.seed, 7u);
  EXPECT_EQ(chat.options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(chat.n, 2);
  EXPECT_EQ(chat.max_tokens, 20);
  EXPECT_TRUE(chat.stream && chat.include_usage && chat.logprobs);
  EXPECT_FALSE(chat.denoising || chat.has_gen_length);
}

TEST(ChatRequest, TakesEveryOptionOfTheEngine) {
  const ChatRequest chat = parse_chat_request(chat_with(
      R"("gen_length": 64, "block_length": 8, "cache": "prefix", "threshold": 0.7, "top_k": 3,
         "alg": "entropy", "alg_temp": 1, "remasking": "random", "eos_stop": false,
         "correct": true, "cfg_scale": 1.5, "stop": "x", "seed": 18446744073709551615)"));
  EXPECT_EQ(chat.options.gen_length, 64);
  EXPECT_TRUE(chat.has_gen_length);
  EXPECT_EQ(chat.options.block_length, 8);
  EXPECT_EQ(chat.options.cache, CacheKind::kPrefix);
  EXPECT_EQ(chat.options.threshold, 0.7);
  EXPECT_EQ(chat.options.alg, "entropy");
  EXPECT_EQ(chat.options.remasking, Remasking::kRandom);
  EXPECT_FALSE(chat.options.eos_stop);
  EXPECT_TRUE(chat.options.correct);
  EXPECT_EQ(chat.options.seed, ~std::uint64_t{0});
}

TEST(ChatRequest, NullIsAsGoodAsAbsent) {
  const ChatRequest chat = parse_chat_request(chat_with(
      R"("max_tokens": null, "stop": null, "seed": null, "stream": null, "n": null,
         "stream_options": null, "temperature": null, "gen_length": null, "tools": null)"));
  EXPECT_FALSE(chat.max_tokens || chat.stream || chat.has_gen_length);
  EXPECT_EQ(chat.n, 1);
}

TEST(ChatRequest, JoinsTextPartsAndTakesAnswersBack) {
  const ChatRequest chat = parse_chat_request(
      R"({"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"},
          {"type": "text", "text": "b"}]}, {"role": "assistant", "content": "c", "refusal": null,
          "tool_calls": [], "annotations": []}]})");
  ASSERT_EQ(chat.messages.size(), 2u);
  EXPECT_EQ(chat.messages[0].role, "system");
  EXPECT_EQ(chat.messages[0].content, "ab");
  EXPECT_EQ(chat.messages[1].content, "c");
}

TEST(ChatRequest, RefusesWhatIsWrongNamingTheField) {
  std::vector<std::string> bodies;
  const std::vector<std::array<const char*, 3>> fields = {
      {R"("max_tokens": 0)", "max_tokens", "an integer from 1 to"},
      {R"("max_tokens": 99999999999999999999)", "max_tokens", "an integer"},
      {R"("max_tokens": 1.5)", "max_tokens", "found 1.5"},
      {R"("max_tokens": 3, "max_completion_tokens": 4)", "max_tokens", "contradicts"},
      {R"("n": 0)", "n", "from 1 to 128"},
      {R"("n": -1)", "n", "from 1 to 128"},
      {R"("n": 1000)", "n", "from 1 to 128"},
      {R"("n": "1")", "n", "found \"1\""},
      {R"("n": 2, "seed": 18446744073709551615)", "seed", "64 bits"},
      {R"("seed": -1)", "seed", "an integer from 0 to"},
      {R"("seed": 1e3)", "seed", "an integer"},
      {R"("stream": "yes")", "stream", "true or false"},
      {R"("stream_options": {"include_usage": true})", "stream_options", "'stream' isn't true"},
      {R"("stream": true, "stream_options": {"a": 1})", "stream_options.a", "unknown"},
      {R"("stream": true, "stream_options": {"denoising": 1})", "stream_options.denoising",
       "true or false"},
      {R"("stream": true, "stream_options": [])", "stream_options", "include_usage"},
      {R"("gen_length": "64")", "gen_length", "an integer"},
      {R"("gen_length": 99999999999)", "gen_length", "an integer"},
      {R"("gen-length": 64)", "gen-length", "unknown field"},
      {R"("cache": "all")", "cache", "none, prefix or dual"},
      {R"("threshold": "high")", "threshold", "a number"},
      {R"("threshold": true)", "threshold", "a number"},
      {R"("eos_stop": 1)", "eos_stop", "true or false"},
      {R"("stop": [1])", "stop", "a string"},
      {R"("stop": [""])", "stop", "isn't empty"},
      {R"("frequency_penalty": 0.5)", "frequency_penalty", "only 0"},
      {R"("presence_penalty": "0")", "presence_penalty", "a number"},
      {R"("logit_bias": {"5": 1})", "logit_bias", "empty"},
      {R"("tools": [{"type": "function"}])", "tools", "no tool calling"},
      {R"("tool_choice": "required")", "tool_choice", "no tool calling"},
      {R"("response_format": {"type": "json_object"})", "response_format", "type text"},
      {R"("logprobs": 1)", "logprobs", "true or false"},
      {R"("top_logprobs": 3)", "top_logprobs", "no alternatives"},
      {R"("modalities": ["audio"])", "modalities", "text"},
      {R"("temprature": 1)", "temprature", "unknown field"},
      {R"("prompt": "x")", "prompt", "unknown field"},
      {R"("n": 1, "n": 1)", "", "stands twice"},
  };
  for (const auto& field : fields) bodies.push_back(chat_with(field[0]));
  std::vector<BadBody> table;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    table.push_back({bodies[i].c_str(), fields[i][1], fields[i][2]});
  }
  expect_refused(parse_chat_request, table);
}

TEST(ChatRequest, RefusesBodiesAndMessagesThatAreNone) {
  const std::string deep = R"({"messages": )" + std::string(100000, '[');
  expect_refused(
      parse_chat_request,
      {{"", "", "not valid JSON"},
       {"[]", "body", "a JSON object"},
       {"{", "", "not valid JSON"},
       {"{\"messages\": \"\xff\"}", "", "not valid JSON"},
       {R"({"messages": "\ud800"})", "", "not valid JSON"},
       {deep.c_str(), "", "nested deeper"},
       {"{}", "messages", "found none"},
       {R"({"messages": []})", "messages", "isn't empty"},
       {R"({"messages": ["Hi"]})", "messages[0]", "{role, content}"},
       {R"({"messages": [{"role": "user"}]})", "messages[0]", "{role, content}"},
       {R"({"messages": [{"role": "tool", "content": "x"}]})", "messages[0].role", "assistant"},
       {R"({"messages": [{"role": "user", "content": null}]})", "messages[0].content", "a string"},
       {R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
        "messages[0].content", "parts"},
       {R"({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]})",
        "messages[0].tool_calls", "{role, content}"}});
}

TEST(CompletionRequest, TakesAllFormsOfPrompts) {
  EXPECT_EQ(parse_completion_request(R"({"prompt": "a"})").prompts, std::vector<Prompt>{"a"});
  EXPECT_EQ(parse_completion_request(R"({"prompt": ["a", "b"]})").prompts,
            (std::vector<Prompt>{"a", "b"}));
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(parse_completion_request(R"({"prompt": [1, 2]})").prompts,
            (std::vector<Prompt>{Ids{1, 2}}));
  EXPECT_EQ(parse_completion_request(R"({"prompt": [[1], [2, 3], []]})").prompts,
            (std::vector<Prompt>{Ids{1}, Ids{2, 3}, Ids{}}));
}

TEST(CompletionRequest, RefusesWhatIsWrong) {
  expect_refused(parse_completion_request,
                 {{"{}", "prompt", "found none"},
                  {R"({"prompt": []})", "prompt", "a list of strings"},
                  {R"({"prompt": [1, "a"]})", "prompt", "an integer"},
                  {R"({"prompt": ["a", 1]})", "prompt", "a list of strings"},
                  {R"({"prompt": [-1]})", "prompt", "an integer from 0"},
                  {R"({"prompt": [4294967296]})", "prompt", "an integer from 0"},
                  {R"({"prompt": {"a": 1}})", "prompt", "a list of strings"},
                  {R"({"prompt": "a", "logprobs": 1})", "logprobs", "only 0"},
                  {R"({"prompt": "a", "logprobs": 0, "echo": true})", "logprobs", "contradicts"},
                  {R"({"prompt": "a", "suffix": "b"})", "suffix", "/v1/infill"},
                  {R"({"prompt": "a", "best_of": 2})", "best_of", "from 1 to 1"},
                  {R"({"prompt": "a", "echo": 1})", "echo", "true or false"}});
}

TEST(InfillRequest, ReadsHolesFromTextAndParts) {
  const std::vector<InfillPart> parts = {"The ", 8, " sat on ", 4, "."};
  EXPECT_EQ(parse_infill_request(R"({"text": "The <|hole:8|> sat on <|hole:4|>."})").parts, parts);
  EXPECT_EQ(
      parse_infill_request(R"({"parts": ["The ", {"hole": 8}, " sat on ", {"hole": 4}, "."]})")
          .parts,
      parts);
  EXPECT_EQ(parse_holes("<|hole:1|>"), std::vector<InfillPart>{1});
  EXPECT_EQ(parse_holes("a < | b"), std::vector<InfillPart>{"a < | b"});
}

TEST(InfillRequest, RefusesWhatIsWrong) {
  expect_refused(parse_infill_request,
                 {{"{}", "parts", "at least one hole"},
                  {R"({"text": "none"})", "text", "at least one hole"},
                  {R"({"text": "a <|hole:|> b"})", "text", "a length from 1"},
                  {R"({"text": "a <|hole:0|> b"})", "text", "a length from 1"},
                  {R"({"text": "a <|hole:99999999999|> b"})", "text", "a length from 1"},
                  {R"({"text": "a <|hole:3"})", "text", "a length from 1"},
                  {R"({"parts": [{"hole": 0}]})", "parts[0].hole", "from 1"},
                  {R"({"parts": [{"hole": 1, "a": 1}]})", "parts[0]", "a text or"},
                  {R"({"parts": [{"hole": 1}], "text": "<|hole:1|>"})", "text", "contradicts"},
                  {R"({"parts": [{"hole": 1}], "gen_length": 8})", "gen_length", "leave it out"},
                  {R"({"parts": [{"hole": 1}], "max_tokens": 8})", "max_tokens", "leave it out"},
                  {R"({"parts": [{"hole": 1}], "stop": "a"})", "stop", "leave it out"}});
}

TEST(TokenizeRequest, TakesATextOrMessages) {
  EXPECT_EQ(parse_tokenize_request(R"({"prompt": "", "add_special_tokens": false})").prompt, "");
  EXPECT_EQ(
      parse_tokenize_request(R"({"messages": [{"role": "user", "content": "a"}]})").messages.size(),
      1u);
  EXPECT_EQ(parse_tokenize_request(R"({"prompt": "a", "model": null})").prompt, "a");
  expect_refused(parse_tokenize_request, {{R"({"prompt": "a", "nothing": null})", "nothing", ""}});
  expect_refused(parse_tokenize_request, {{"{}", "prompt", "exactly one"},
                                          {R"({"prompt": 1})", "prompt", "a string"},
                                          {R"({"text": "a"})", "text", "unknown field"}});
  expect_refused(parse_detokenize_request, {{"{}", "tokens", "found none"},
                                            {R"({"tokens": "a"})", "tokens", "token ids"},
                                            {R"({"tokens": [1.5]})", "tokens", "an integer"}});
}

TEST(Answers, HaveOpenAisShape) {
  Choice choice;
  choice.text = "Hi \xff";  // can't be written as it is
  choice.finish_reason = "stop";
  choice.logprobs = {{"Hi", "Hi", -0.5}};
  const Usage usage = {.prompt_tokens = 3, .completion_tokens = 2, .forwards = 5, .seconds = 0.5};
  const Json chat = Json::parse(chat_json({"id", 1, "m"}, std::span(&choice, 1), usage));
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(chat["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(chat["choices"][0]["message"]["content"], "Hi \xEF\xBF\xBD");
  EXPECT_EQ(chat["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(chat["choices"][0]["logprobs"]["content"][0]["bytes"], Json({72, 105}));
  EXPECT_EQ(chat["usage"]["total_tokens"], 5);
  EXPECT_EQ(chat["usage"]["tokens_per_second"], 4.0);
  const Json text = Json::parse(completion_json({"id", 1, "m"}, std::span(&choice, 1), usage));
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["choices"][0]["logprobs"]["token_logprobs"], Json({-0.5}));
}

TEST(Chunks, CarryTextUsageAndSteps) {
  Choice choice;
  choice.text = "Hi";
  const Json chunk = Json::parse(text_chunk(ChunkShape::kChat, {"id", 1, "m"}, choice));
  EXPECT_EQ(chunk["object"], "chat.completion.chunk");
  EXPECT_EQ(chunk["choices"][0]["delta"]["content"], "Hi");
  EXPECT_TRUE(chunk["choices"][0]["finish_reason"].is_null());
  const DenoisingStep step = {.choice = 1,
                              .step = 3,
                              .block = 2,
                              .query = {-4, 8},
                              .committed = {{5, "a", 1}},
                              .provisional = {{6, "b", 0.25}},
                              .masked = 7};
  const Json shown =
      Json::parse(denoising_chunk(ChunkShape::kChat, {"id", 1, "m"}, step))["denoising"];
  EXPECT_EQ(shown, Json::parse(R"({"choice": 1, "step": 3, "forwards": 4, "block": 2,
      "query": [-4, 8], "committed": [[5, "a"]], "provisional": [[6, "b", 0.25]], "masked": 7})"));
}

TEST(OpenApi, DescribesEveryOptionOfTheEngine) {
  const Json doc = Json::parse(openapi_json("m", 100));
  const Json& schemas = doc["components"]["schemas"];
  for (const GenerateOption& option : generate_options()) {
    std::string name(option.name);
    for (char& c : name) c = c == '-' ? '_' : c;
    for (const char* request : {"ChatRequest", "CompletionRequest", "InfillRequest"}) {
      EXPECT_TRUE(schemas[request]["properties"].contains(name)) << request << " " << name;
    }
  }
  EXPECT_EQ(schemas["TokenId"]["maximum"], 99);
  for (const auto& [path, item] : doc["paths"].items()) EXPECT_THAT(path, StartsWith("/"));
}

TEST(ToApiError, MapsTheEnginesErrors) {
  const ApiError invalid =
      to_api_error(Error(ErrorCode::kInvalidArgument, "'steps': expected a divisor"));
  EXPECT_EQ(invalid.status, 400);
  EXPECT_EQ(invalid.param, "steps");
  EXPECT_EQ(to_api_error(Error(ErrorCode::kBusy, "x")).status, 429);
  EXPECT_EQ(to_api_error(Error(ErrorCode::kUnavailable, "x")).status, 503);
  EXPECT_EQ(to_api_error(Error(ErrorCode::kInternal, "x")).status, 500);
}

}  // namespace
}  // namespace fdllm::server
