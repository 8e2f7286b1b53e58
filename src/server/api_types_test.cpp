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
  EXPECT_FALSE(chat.denoising || chat.options.gen_length);
}

TEST(ChatRequest, TakesEveryOptionOfTheEngine) {
  const ChatRequest chat = parse_chat_request(chat_with(
      R"("gen_length": 64, "block_length": 8, "cache": "prefix", "threshold": 0.7, "top_k": 3,
         "alg": "entropy", "alg_temp": 1, "remasking": "random", "eos_stop": false,
         "correct": true, "cfg_scale": 1.5, "stop": "x", "seed": 18446744073709551615)"));
  EXPECT_EQ(chat.options.gen_length, 64);
  EXPECT_TRUE(chat.options.gen_length);
  EXPECT_EQ(chat.options.block_length, 8);
  EXPECT_EQ(chat.options.cache, CacheKind::kPrefix);
  EXPECT_EQ(chat.options.rule.get("threshold"), 0.7);
  EXPECT_EQ(chat.options.rule.alg, "entropy");
  EXPECT_EQ(chat.options.remasking, Remasking::kRandom);
  EXPECT_FALSE(chat.options.eos_stop);
  EXPECT_TRUE(chat.options.correct);
  EXPECT_EQ(chat.options.seed, ~std::uint64_t{0});
}

TEST(ChatRequest, NullIsAsGoodAsAbsent) {
  const ChatRequest chat = parse_chat_request(chat_with(
      R"("max_tokens": null, "stop": null, "seed": null, "stream": null, "n": null,
         "stream_options": null, "temperature": null, "gen_length": null, "tools": null)"));
  EXPECT_FALSE(chat.max_tokens || chat.stream || chat.options.gen_length);
  EXPECT_EQ(chat.n, 1);
}

TEST(ChatRequest, WholeNumbersMayBeWrittenAsFloats) {
  const ChatRequest chat = parse_chat_request(
      chat_with(R"("max_tokens": 32.0, "n": 2e0, "seed": 1e2, "gen_length": 64.0, "top_k": -1.0)"));
  EXPECT_EQ(chat.max_tokens, 32);
  EXPECT_EQ(chat.n, 2);
  EXPECT_EQ(chat.options.seed, 100u);
  EXPECT_EQ(chat.options.gen_length, 64);
  EXPECT_EQ(chat.options.top_k, 0);
}

TEST(ChatRequest, SeedsAreSigned) {
  const auto seed = [](const std::string& value) {
    return parse_chat_request(chat_with(R"("seed": )" + value)).options.seed;
  };
  EXPECT_EQ(seed("-1"), ~std::uint64_t{0});
  EXPECT_EQ(seed("-9223372036854775808"), std::uint64_t{1} << 63U);
  EXPECT_EQ(seed("9223372036854775807"), (std::uint64_t{1} << 63U) - 1);
  EXPECT_EQ(seed("3.0"), 3u);
  EXPECT_EQ(seed("-2.0"), ~std::uint64_t{0} - 1);
  EXPECT_EQ(seed("null"), 0u);
}

TEST(ChatRequest, LimitsHaveSeveralNames) {
  const auto chat = [](const std::string& fields) { return parse_chat_request(chat_with(fields)); };
  EXPECT_EQ(chat(R"("max_completion_tokens": 7)").limit_name, "max_completion_tokens");
  EXPECT_EQ(chat(R"("max_completion_tokens": 7, "max_tokens": 7)").max_tokens, 7);
  EXPECT_EQ(chat(R"("n_predict": 7)").limit_name, "n_predict");
  EXPECT_FALSE(chat(R"("n_predict": -1, "max_tokens": -1)").max_tokens);
}

TEST(ChatRequest, TakesBackWhatClientsKeepInMessages) {
  const auto last = [](const std::string& message) {
    return parse_chat_request(R"({"messages": [{"role": "user", "content": "Hi"}, )" + message +
                              "]}")
        .messages.back();
  };
  // OpenAI's own object, LangChain, LiteLLM, the AI SDK, open-webui and LibreChat.
  for (const char* message :
       {R"({"role": "assistant", "content": "c", "refusal": null, "annotations": [],
            "audio": null, "function_call": null, "tool_calls": null})",
        R"({"role": "assistant", "content": "c", "id": "msg_1", "type": "ai", "example": false,
            "additional_kwargs": {}, "response_metadata": {"a": 1}, "usage_metadata": null})",
        R"({"role": "assistant", "content": "c", "provider_specific_fields": {"x": null},
            "tool_calls": [], "thinking_blocks": []})",
        R"({"role": "assistant", "id": "x", "createdAt": "2026", "parts": [{"type": "text"}],
            "content": [{"type": "text", "text": "c", "providerOptions": {}}]})",
        R"({"role": "assistant", "content": "c", "timestamp": 1, "models": ["m"], "done": true,
            "metadata": {"k": "v"}, "created_at": 5, "cache_control": {"type": "ephemeral"}})",
        R"({"role": "assistant", "content": null, "refusal": "c"})",
        R"({"role": "assistant", "refusal": "c"})", R"({"role": "assistant", "content": ["c"]})",
        R"({"role": "assistant", "content": [{"type": "reasoning", "text": "hm"},
            {"type": "output_text", "text": "c", "annotations": []}]})",
        R"({"role": "tool", "content": "c", "tool_call_id": "1"})",
        R"({"role": "function", "content": "c", "name": "f"})",
        R"({"role": "system", "content": [{"type": "input_text", "text": "c"}]})",
        R"({"role": "user", "content": "c", "images": [], "files": null})"}) {
    SCOPED_TRACE(message);
    EXPECT_EQ(last(message).content, "c");
  }
  EXPECT_EQ(last(R"({"role": "assistant", "content": null})").content, "");
  EXPECT_EQ(last(R"({"role": "developer", "content": [{"type": "text", "text": "a"},
                     {"type": "text", "text": "b"}]})")
                .content,
            "a\nb");
}

TEST(ChatRequest, RefusesWhatIsWrongNamingTheField) {
  std::vector<std::string> bodies;
  const std::vector<std::array<const char*, 3>> fields = {
      {R"("max_tokens": 0)", "max_tokens", "an integer from 1 to"},
      {R"("max_tokens": 99999999999999999999)", "max_tokens", "an integer"},
      {R"("max_tokens": 1.5)", "max_tokens", "found 1.5"},
      {R"("max_tokens": 3, "max_completion_tokens": 4)", "max_tokens", "contradicts"},
      {R"("max_tokens": "32")", "max_tokens", "found \"32\""},
      {R"("max_tokens": -2)", "max_tokens", "an integer from 1 to"},
      {R"("max_tokens": 1e300)", "max_tokens", "an integer"},
      {R"("max_tokens": true)", "max_tokens", "an integer"},
      {R"("n": 0)", "n", "from 1 to 128"},
      {R"("n": -1)", "n", "from 1 to 128"},
      {R"("n": 1000)", "n", "from 1 to 128"},
      {R"("n": "1")", "n", "found \"1\""},
      {R"("seed": -9223372036854775809)", "seed", "an integer from -2^63"},
      {R"("seed": 18446744073709551616)", "seed", "an integer from -2^63"},
      {R"("seed": 0.5)", "seed", "an integer"},
      {R"("seed": "1")", "seed", "an integer"},
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
      {R"("presence_penalty": "0")", "presence_penalty", "only 0"},
      {R"("repetition_penalty": 1.1)", "repetition_penalty", "no text so far"},
      {R"("min_p": 0.1)", "min_p", "top_p and top_k"},
      {R"("use_beam_search": true)", "use_beam_search", "only false"},
      {R"("skip_special_tokens": false)", "skip_special_tokens", "only true"},
      {R"("guided_json": {"type": "object"})", "guided_json", "grammar"},
      {R"("best_of": 2)", "best_of", "only as many as n"},
      {R"("min_tokens": 5)", "min_tokens", "beside ignore_eos"},
      {R"("top_k": -2)", "top_k", "an integer from -1"},
      {R"("user": 1)", "user", "a string"},
      {R"("chat_template": "x")", "chat_template", "own chat template"},
      {R"("verbosity": "low")", "verbosity", "only medium"},
      {R"("thinking": {"type": "enabled"})", "thinking", "disabled"},
      {R"("prompt_logprobs": 1)", "prompt_logprobs", "likelihood"},
      {R"("logit_bias": {"5": 1})", "logit_bias", "biases of 0"},
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
       {R"({"messages": [{"content": "x"}]})", "messages[0]", "{role, content}"},
       {R"({"messages": [{"role": "critic", "content": "x"}]})", "messages[0].role", "assistant"},
       {R"({"messages": [{"role": "user", "content": null}]})", "messages[0].content", "a string"},
       {R"({"messages": [{"role": "user", "content": []}]})", "messages[0].content", "isn't empty"},
       {R"({"messages": [{"role": "assistant", "content": []}]})", "messages[0].content",
        "isn't empty"},
       {R"({"messages": [{"role": "user", "content": {}}]})", "messages[0].content", "a string"},
       {R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
        "messages[0].content[0]", "type image_url"},
       {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, 1]}]})",
        "messages[0].content[1]", "a part"},
       {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
        "messages[0].content[0]", "'text'"},
       {R"({"messages": [{"role": "user", "content": "x", "images": ["a"]}]})",
        "messages[0].images", "text only"},
       {R"({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]})",
        "messages[0].tool_calls[0]", "{id, type, function"},
       {R"({"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f"}}]})",
        "messages[0].function_call", "tool_calls"}});
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
                  {R"({"prompt": "a", "suffix": 1})", "suffix", "a string"},
                  {R"({"prompt": "a", "best_of": 2})", "best_of", "only as many as n"},
                  {R"({"prompt": "a", "echo": 1})", "echo", "true or false"}});
}

TEST(CompletionRequest, TakesASuffix) {
  EXPECT_EQ(parse_completion_request(R"({"prompt": "a", "suffix": "b"})").suffix, "b");
  EXPECT_EQ(parse_completion_request(R"({"prompt": "a", "suffix": null})").suffix, "");
}

TEST(InfillRequest, ReadsHolesFromTextAndParts) {
  const auto hole = [](std::int32_t least, std::int32_t most) {
    return InfillPart{"", least, most};
  };
  const std::vector<InfillPart> parts = {{"The "}, hole(8, 8), {" sat on "}, hole(2, 4), {"."}};
  EXPECT_EQ(parse_infill_request(R"({"text": "The <|hole:8|> sat on <|hole:2-4|>."})").parts,
            parts);
  for (const char* range : {R"("2-4")", "[2, 4]", "[2.0, 4]"}) {
    EXPECT_EQ(parse_infill_request(R"({"parts": ["The ", {"hole": 8}, " sat on ", {"hole": )" +
                                   std::string(range) + R"(}, "."], "text": null})")
                  .parts,
              parts)
        << range;
  }
}

TEST(EditorRequest, TakesWhatEditorsSend) {
  const EditorRequest editor = parse_editor_request(
      R"({"id_slot": 0, "input_prefix": "a", "input_suffix": "b", "prompt": "c",
          "input_extra": [{"text": "d", "filename": "e.py"}, {"text": "f"}], "n_predict": 8,
          "stop": [], "n_indent": 4, "top_k": 40, "top_p": 0.9, "stream": false,
          "samplers": ["top_k", "top_p", "infill"], "cache_prompt": true,
          "t_max_prompt_ms": 500, "t_max_predict_ms": 3000, "response_fields": ["content"]})");
  EXPECT_EQ(editor.prefix, "a");
  EXPECT_EQ(editor.suffix, "b");
  EXPECT_EQ(editor.prompt, "c");
  EXPECT_EQ(editor.extra, "--- e.py ---\nd\n--- snippet ---\nf\n");
  EXPECT_EQ(editor.max_tokens, 8);
  expect_refused(parse_editor_request,
                 {{"{}", "input_prefix", "found none"},
                  {R"({"prompt": "a"})", "input_prefix", "found none"},
                  {R"({"input_prefix": 1})", "input_prefix", "a string"},
                  {R"({"input_prefix": "a", "input_extra": [1]})", "input_extra[0]", "filename"},
                  {R"({"input_prefix": "a", "n": 2})", "n", "one answer"}});
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
                  {R"({"parts": []})", "parts", "isn't empty"},
                  {R"({"parts": [{"hole": "4-2"}]})", "parts[0].hole", "a length from 1"},
                  {R"({"parts": [{"hole": "2-"}]})", "parts[0].hole", "a length from 1"},
                  {R"({"parts": [{"hole": [4, 2]}]})", "parts[0].hole", "from 4"},
                  {R"({"parts": [{"hole": [1, 2, 3]}]})", "parts[0].hole", "a least"},
                  {R"({"text": "a <|hole:3-2|> b"})", "text", "a length from 1"},
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
  EXPECT_EQ(parse_detokenize_request(R"({"tokens": [5.0]})").tokens, std::vector<std::int32_t>{5});
  expect_refused(parse_detokenize_request, {{"{}", "tokens", "found none"},
                                            {R"({"tokens": "a"})", "tokens", "token ids"},
                                            {R"({"tokens": [1.5]})", "tokens", "an integer"}});
}

TEST(Answers, HaveOpenAisShape) {
  Choice choice;
  choice.text = "Hi \xff";  // can't be written as it is
  choice.finish_reason = "stop";
  choice.logprobs = {{"Hi", "Hi", -0.5, 0}, {"<s>", "", -1, 2}};
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
  EXPECT_EQ(text["choices"][0]["logprobs"]["token_logprobs"], Json({-0.5, -1.0}));
  EXPECT_EQ(text["choices"][0]["logprobs"]["text_offset"], Json({0, 2}));
}

TEST(Chunks, CarryTextUsageAndSteps) {
  Choice choice;
  choice.text = "Hi";
  const Json chunk = Json::parse(text_chunk(ChunkShape::kChat, {"id", 1, "m"}, choice));
  EXPECT_EQ(chunk["object"], "chat.completion.chunk");
  EXPECT_EQ(chunk["choices"][0]["delta"]["content"], "Hi");
  EXPECT_TRUE(chunk["choices"][0]["finish_reason"].is_null());
  EXPECT_FALSE(chunk.contains("usage"));
  for (const std::string& text : {text_chunk(ChunkShape::kCompletion, {"id", 1, "m", true}, choice),
                                  role_chunk({"id", 1, "m", true}, 0),
                                  denoising_chunk(ChunkShape::kChat, {"id", 1, "m", true}, {}),
                                  canvas_chunk(ChunkShape::kChat, {"id", 1, "m", true}, {})}) {
    const Json with_usage = Json::parse(text);
    ASSERT_TRUE(with_usage.contains("usage")) << text;
    EXPECT_TRUE(with_usage["usage"].is_null());
  }
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
  ModelInfo info;
  info.vocab = 100;
  info.rules = {{"margin", "by the lead", "margin", {"margin"}}};
  const Json doc = Json::parse(openapi_json("m", info));
  const Json& schemas = doc["components"]["schemas"];
  for (const GenerateOption& option : generate_options()) {
    const std::string name = option.field();
    for (const char* request :
         {"ChatRequest", "CompletionRequest", "InfillRequest", "EditorRequest"}) {
      EXPECT_TRUE(schemas[request]["properties"].contains(name)) << request << " " << name;
    }
  }
  for (const char* name : {"min_p", "seed", "n_predict", "stop_token_ids"}) {
    EXPECT_TRUE(schemas["ChatRequest"]["properties"].contains(name)) << name;
  }
  EXPECT_EQ(schemas["ChatRequest"]["properties"]["stop"]["anyOf"][2]["maxItems"], 16);
  EXPECT_EQ(schemas["TokenId"]["maximum"], 99);
  const Json& chat = schemas["ChatRequest"]["properties"];
  EXPECT_EQ(chat["threshold"]["minimum"], 0);
  EXPECT_EQ(chat["threshold"]["maximum"], 1);
  EXPECT_EQ(chat["threshold"]["default"], 0.9);
  EXPECT_EQ(chat["factor"]["exclusiveMinimum"], 0);
  EXPECT_EQ(chat["gen_length"]["minimum"], 1);
  EXPECT_EQ(chat["seed"]["maximum"], 18446744073709551615u);
  EXPECT_EQ(chat["cache"]["enum"], (Json{nullptr, "none", "prefix", "dual"}));
  EXPECT_EQ(chat["cache"]["default"], "dual");
  EXPECT_EQ(chat["cache"]["x-group"], "Rows");
  EXPECT_EQ(chat["top_k"]["minimum"], -1);
  EXPECT_EQ(chat["top_k"]["default"], 0);
  EXPECT_EQ(chat["preset"]["x-values"]["fast"]["query_before"], 8);
  EXPECT_EQ(doc["x-rules"][0]["chosen_by"], "margin");
  for (const auto& [path, item] : doc["paths"].items()) EXPECT_THAT(path, StartsWith("/"));
}

TEST(ToApiError, MapsTheEnginesErrors) {
  const ApiError invalid =
      to_api_error(Error(ErrorCode::kInvalidArgument, "'steps': expected a divisor"));
  EXPECT_EQ(invalid.status, 400);
  EXPECT_EQ(invalid.param, "steps");
  const ApiError unsupported = to_api_error(Error(ErrorCode::kUnsupported, "'a[0].b': is no"));
  EXPECT_EQ(unsupported.param, "a[0].b");
  EXPECT_EQ(unsupported.code, "unsupported_parameter");
  EXPECT_EQ(to_api_error(Error(ErrorCode::kBusy, "x")).status, 429);
  EXPECT_EQ(to_api_error(Error(ErrorCode::kUnavailable, "x")).status, 503);
  EXPECT_EQ(to_api_error(Error(ErrorCode::kInternal, "x")).status, 500);
}

}  // namespace
}  // namespace fdllm::server
