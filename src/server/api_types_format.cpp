#include <cmath>

#include <nlohmann/json.hpp>

#include "fastdllm/engine.h"

#include "base/check.h"
#include "server/api_types.h"

namespace fdllm::server {
namespace {

/// Keeps fields in the order in which they are written here.
using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json usage_json(const Usage& usage) {
  const double seconds = usage.seconds;
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"forwards", usage.forwards},
          {"refresh_forwards", usage.refresh_forwards},
          {"seconds", seconds},
          {"tokens_per_second",
           seconds > 0 ? static_cast<double>(usage.completion_tokens) / seconds : 0.0}};
}

Json bytes_json(const std::string& bytes) {
  Json list = Json::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return list;
}

Json chat_logprobs(const Choice& choice) {
  if (!choice.logprobs) return {};
  Json content = Json::array();
  for (const TokenLogprob& token : *choice.logprobs) {
    content.push_back({{"token", token.text},
                       {"logprob", token.logprob},
                       {"bytes", bytes_json(token.bytes)},
                       {"top_logprobs", Json::array()}});
  }
  return {{"content", content}, {"refusal", nullptr}};
}

Json completion_logprobs(const Choice& choice) {
  if (!choice.logprobs) return {};
  Json tokens = Json::array(), logprobs = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : *choice.logprobs) {
    tokens.push_back(token.text);
    logprobs.push_back(token.logprob);
    offsets.push_back(token.offset);
  }
  return {{"tokens", tokens},
          {"token_logprobs", logprobs},
          {"top_logprobs", nullptr},
          {"text_offset", offsets}};
}

void put_reasons(Json& json, const Choice& choice) {
  json["finish_reason"] = text_or_null(choice.finish_reason);
  if (!choice.stop_reason.empty()) json["stop_reason"] = choice.stop_reason;
}

/// The object that answers and chunks have around their choices.
Json envelope(std::string_view object, const AnswerHead& head) {
  return {{"id", head.id},
          {"object", object},
          {"created", head.created},
          {"model", head.model},
          {"choices", Json::array()}};
}

std::string_view chunk_object(ChunkShape shape) {
  switch (shape) {
    case ChunkShape::kChat:
      return "chat.completion.chunk";
    case ChunkShape::kCompletion:
      return "text_completion";
    case ChunkShape::kInfill:
      return "infill.chunk";
    case ChunkShape::kEditor:
      break;  // they have no envelope
  }
  return "";
}

/// The same around a chunk of a stream.
Json chunk_envelope(ChunkShape shape, const AnswerHead& head) {
  Json json = envelope(chunk_object(shape), head);
  if (head.null_usage) json["usage"] = nullptr;
  return json;
}

Json chat_choice(const Choice& choice) {
  Json json = {{"index", choice.index},
               {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
               {"logprobs", chat_logprobs(choice)}};
  put_reasons(json, choice);
  return json;
}

Json text_choice(const Choice& choice) {
  Json json = {
      {"index", choice.index}, {"text", choice.text}, {"logprobs", completion_logprobs(choice)}};
  put_reasons(json, choice);
  return json;
}

Json tokens_json(const std::vector<DenoisedToken>& tokens, bool with_confidence) {
  Json list = Json::array();
  for (const DenoisedToken& token : tokens) {
    Json entry = Json::array({token.position, token.text});
    // A rule's confidence may be infinite, which JSON has no number for.
    if (with_confidence) {
      entry.push_back(std::isfinite(token.confidence) ? Json(token.confidence) : Json());
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json model_object(const std::string& model, std::int64_t created, const ModelInfo& info) {
  Json rules = Json::array();
  for (const RuleInfo& rule : info.rules) rules.push_back(rule.name);
  return {{"id", model},
          {"object", "model"},
          {"created", created},
          {"owned_by", "fast-dllm"},
          {"family", info.family},
          {"backend", info.backend},
          {"parameters", info.parameters},
          {"max_model_len", info.max_positions},
          {"max_positions", info.max_positions},
          {"chat", !info.chat_template.empty() && info.chat_template_problem.empty()},
          {"rules", std::move(rules)}};
}

}  // namespace

std::string error_json(const ApiError& error) {
  return dump({{"error",
                {{"message", error.what()},
                 {"type", error_type(error.status)},
                 {"param", text_or_null(error.param)},
                 {"code", text_or_null(error.code)}}}});
}

std::string chat_json(const AnswerHead& head, std::span<const Choice> choices, const Usage& usage) {
  Json json = envelope("chat.completion", head);
  for (const Choice& choice : choices) json["choices"].push_back(chat_choice(choice));
  json["usage"] = usage_json(usage);
  return dump(json);
}

std::string completion_json(const AnswerHead& head, std::span<const Choice> choices,
                            const Usage& usage) {
  Json json = envelope("text_completion", head);
  for (const Choice& choice : choices) json["choices"].push_back(text_choice(choice));
  json["usage"] = usage_json(usage);
  return dump(json);
}

std::string infill_json(const AnswerHead& head, std::span<const Choice> choices,
                        const Usage& usage) {
  check(!choices.empty(), "an infill without an answer");
  Json json = envelope("infill", head);
  for (const Choice& choice : choices) {
    Json entry = {{"index", choice.index}, {"text", choice.text}, {"parts", choice.parts}};
    put_reasons(entry, choice);
    json["choices"].push_back(std::move(entry));
  }
  json["text"] = choices.front().text;
  json["parts"] = choices.front().parts;
  put_reasons(json, choices.front());
  json["usage"] = usage_json(usage);
  return dump(json);
}

std::string editor_json(const AnswerHead& head, const Choice& choice, const Usage& usage) {
  const bool stopped = !choice.finish_reason.empty();
  Json json = {{"index", choice.index},
               {"content", choice.text},
               {"tokens", Json::array()},
               {"id_slot", -1},
               {"stop", stopped},
               {"tokens_predicted", usage.completion_tokens},
               {"tokens_evaluated", usage.prompt_tokens}};
  if (!stopped) return dump(json);
  const double seconds = usage.seconds;
  const auto predicted = static_cast<double>(usage.completion_tokens);
  json["id"] = head.id;
  json["model"] = head.model;
  json["truncated"] = choice.truncated;
  json["has_new_line"] = choice.text.find('\n') != std::string::npos;
  json["stop_type"] = choice.finish_reason != "stop" ? "limit"
                      : choice.stop_string.empty()   ? "eos"
                                                     : "word";
  json["stopping_word"] = choice.stop_string;
  json["timings"] = {{"prompt_n", usage.prompt_tokens},
                     {"predicted_n", usage.completion_tokens},
                     {"predicted_ms", seconds * 1000},
                     {"predicted_per_second", seconds > 0 ? predicted / seconds : 0.0},
                     {"forwards", usage.forwards}};
  return dump(json);
}

std::string role_chunk(const AnswerHead& head, std::int32_t index) {
  Json json = chunk_envelope(ChunkShape::kChat, head);
  json["choices"].push_back({{"index", index},
                             {"delta", {{"role", "assistant"}, {"content", ""}}},
                             {"logprobs", nullptr},
                             {"finish_reason", nullptr}});
  return dump(json);
}

std::string text_chunk(ChunkShape shape, const AnswerHead& head, const Choice& choice) {
  Json json = chunk_envelope(shape, head);
  if (shape == ChunkShape::kChat) {
    Json delta = Json::object();
    if (!choice.text.empty()) delta["content"] = choice.text;
    Json entry = {
        {"index", choice.index}, {"delta", std::move(delta)}, {"logprobs", chat_logprobs(choice)}};
    put_reasons(entry, choice);
    json["choices"].push_back(std::move(entry));
  } else {
    json["choices"].push_back(text_choice(choice));
  }
  return dump(json);
}

std::string usage_chunk(ChunkShape shape, const AnswerHead& head, const Usage& usage) {
  Json json = envelope(chunk_object(shape), head);
  json["usage"] = usage_json(usage);
  return dump(json);
}

std::string canvas_chunk(ChunkShape shape, const AnswerHead& head, const CanvasStart& canvas) {
  Json json = chunk_envelope(shape, head);
  Json object = {{"prompt_tokens", canvas.prompt_tokens},
                 {"gen_length", canvas.gen_length},
                 {"block_length", canvas.block_length},
                 {"block_begin", canvas.block_begin}};
  if (!canvas.fixed.empty()) {
    Json fixed = Json::array();
    for (const auto& [position, text] : canvas.fixed)
      fixed.push_back(Json::array({position, text}));
    object["fixed"] = std::move(fixed);
  }
  json["denoising"] = {{"choice", canvas.choice}, {"canvas", std::move(object)}};
  return dump(json);
}

std::string forward_chunk(ChunkShape shape, const AnswerHead& head, std::int32_t choice,
                          const ForwardProgress& progress) {
  Json json = chunk_envelope(shape, head);
  json["forward"] = {
      {"choice", choice},          {"step", progress.step}, {"layers_done", progress.layers_done},
      {"layers", progress.layers}, {"rows", progress.rows}, {"seconds", progress.seconds}};
  return dump(json);
}

std::string denoising_chunk(ChunkShape shape, const AnswerHead& head, const DenoisingStep& step) {
  Json json = chunk_envelope(shape, head);
  json["denoising"] = {{"choice", step.choice},
                       {"step", step.step},
                       {"forwards", step.step + 1},
                       {"block", step.block},
                       {"query", Json::array({step.query.first, step.query.second})},
                       {"committed", tokens_json(step.committed, false)},
                       {"provisional", tokens_json(step.provisional, true)},
                       {"masked", step.masked}};
  return dump(json);
}

std::string models_json(const std::string& model, std::int64_t created, const ModelInfo& info) {
  return dump({{"object", "list"}, {"data", Json::array({model_object(model, created, info)})}});
}

std::string model_json(const std::string& model, std::int64_t created, const ModelInfo& info) {
  return dump(model_object(model, created, info));
}

std::string tokens_json(std::span<const std::int32_t> tokens, std::int64_t max_positions,
                        const std::vector<std::string>* texts) {
  Json json = {{"count", tokens.size()},
               {"max_model_len", max_positions},
               {"tokens", std::vector<std::int32_t>(tokens.begin(), tokens.end())},
               {"token_strs", texts != nullptr ? Json(*texts) : Json()}};
  return dump(json);
}

std::string detokenized_json(const std::string& text) {
  return dump({{"prompt", text}});
}

std::string tokenizer_json(const TokenizerDescription& tokenizer) {
  return dump({{"tokenizer_class", "fast-dllm"},
               {"eos_token", text_or_null(tokenizer.eos_token)},
               {"bos_token", text_or_null(tokenizer.bos_token)},
               {"pad_token", text_or_null(tokenizer.pad_token)},
               {"mask_token", text_or_null(tokenizer.mask_token)},
               {"chat_template", text_or_null(tokenizer.chat_template)},
               {"vocab_size", tokenizer.vocabulary},
               {"model_max_length", tokenizer.max_positions}});
}

std::string status_json(std::string_view status) {
  return dump({{"status", status}});
}

}  // namespace fdllm::server
