#pragma once
// The only place where requests and answers are JSON: parsing, with every refusal, and writing.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fastdllm/infill.h"

#include "server/api_error.h"

namespace fdllm::server {

/// What all requests that generate have in common.
struct GenerationFields {
  GenerateOptions options;
  std::optional<std::int32_t> max_tokens;
  std::string limit_name = "max_tokens";  ///< what the client calls it
  std::int32_t min_tokens = 0;
  std::int32_t n = 1;
  std::optional<std::int32_t> best_of;
  bool stream = false, include_usage = false, denoising = false;
  bool logprobs = false;
  std::optional<std::string> model;
  std::vector<std::int32_t> stop_token_ids;
  std::vector<std::string> template_variables;  ///< names that the chat template would be given
};

struct ChatRequest : GenerationFields {
  std::vector<ChatMessage> messages;
};

using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

struct CompletionRequest : GenerationFields {
  std::vector<Prompt> prompts;
  bool echo = false;
  bool add_special_tokens = true;  ///< BOS and EOS as the model's files ask
  std::string suffix;              ///< what the answer is followed by; empty: nothing
};

struct InfillRequest : GenerationFields {
  std::vector<InfillPart> parts;
  std::string field = "parts";  ///< where the client gave them: "text" or "parts"
};

/// As editors ask llama.cpp's server: what is missing between a prefix and a suffix.
struct EditorRequest : GenerationFields {
  std::string extra, prefix, prompt, suffix;  ///< in the order of the canvas
};

struct TokenizeRequest {
  std::optional<std::string> prompt;
  std::vector<ChatMessage> messages;  ///< where there is no prompt
  bool add_generation_prompt = true;
  /// BOS and EOS as the model's files ask; nullopt: for a prompt, not for a conversation.
  std::optional<bool> add_special_tokens;
  bool return_token_strs = false;
};

struct DetokenizeRequest {
  std::vector<std::int32_t> tokens;
};

/// Each throws ApiError (400), naming the field, for everything that is wrong with a body alone.
ChatRequest parse_chat_request(std::string_view body);
CompletionRequest parse_completion_request(std::string_view body);
InfillRequest parse_infill_request(std::string_view body);
EditorRequest parse_editor_request(std::string_view body);
TokenizeRequest parse_tokenize_request(std::string_view body);
DetokenizeRequest parse_detokenize_request(std::string_view body);

/// A token of an answer and the logarithm of its confidence when it was committed.
struct TokenLogprob {
  std::string text;   ///< of special tokens too
  std::string bytes;  ///< its part of the answer's text: none of special tokens
  double logprob = 0;
  std::size_t offset = 0;  ///< characters of the choice's text before it
};

/// One of the answers to a request.
struct Choice {
  std::int32_t index = 0;
  std::string text;
  std::string finish_reason;  ///< "stop" or "length"; empty: not finished
  std::string stop_reason;    ///< "deadline" where that ended it
  std::optional<std::vector<TokenLogprob>> logprobs;
  std::string stop_string;         ///< the one that ended it (editors)
  bool truncated = false;          ///< some of an editor's text was left out
  std::int64_t tokens = 0;         ///< of the answer, before its end
  std::vector<std::string> parts;  ///< infill: the parts, with the holes filled
};

struct Usage {
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
  std::int64_t forwards = 0, refresh_forwards = 0;
  double seconds = 0;  ///< of the answer that took longest
};

/// What is the same in every part of an answer.
struct AnswerHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  bool null_usage = false;  ///< chunks have "usage": null, since one at the end has figures
};

std::string error_json(const ApiError& error);
std::string chat_json(const AnswerHead& head, std::span<const Choice> choices, const Usage& usage);
std::string completion_json(const AnswerHead& head, std::span<const Choice> choices,
                            const Usage& usage);
/// The first choice's text and parts are at the top, too. Also closes a stream.
std::string infill_json(const AnswerHead& head, std::span<const Choice> choices,
                        const Usage& usage);

/// An editor's answer, or a part of one: the last, where it is finished. What it says of tokens is
/// that of `usage`.
std::string editor_json(const AnswerHead& head, const Choice& choice, const Usage& usage);

/// The kinds of streams differ in the shape of their chunks.
enum class ChunkShape : std::uint8_t { kChat, kCompletion, kInfill, kEditor };

/// The first chunk of a chat's choice, which names the role.
std::string role_chunk(const AnswerHead& head, std::int32_t index);
/// `choice.text` is what is new.
std::string text_chunk(ChunkShape shape, const AnswerHead& head, const Choice& choice);
std::string usage_chunk(ChunkShape shape, const AnswerHead& head, const Usage& usage);

/// The canvas of a choice before its first step.
struct CanvasStart {
  std::int32_t choice = 0;
  std::int64_t prompt_tokens = 0;
  std::int32_t gen_length = 0, block_length = 0;
  std::int32_t block_begin = 0;  ///< where the first block begins
  /// Infill: the positions and texts of the tokens that are given.
  std::vector<std::pair<std::int32_t, std::string>> fixed;
};
std::string canvas_chunk(ChunkShape shape, const AnswerHead& head, const CanvasStart& canvas);

struct DenoisedToken {
  std::int32_t position = 0;  ///< from the answer's first token
  std::string text;
  double confidence = 0;
};
struct DenoisingStep {
  std::int32_t choice = 0, step = 0, block = 0;
  std::pair<std::int32_t, std::int32_t> query;  ///< rows; negative ones belong to the prompt
  std::vector<DenoisedToken> committed, provisional;
  std::int32_t masked = 0;
};
/// How far a long forward of a choice is.
std::string forward_chunk(ChunkShape shape, const AnswerHead& head, std::int32_t choice,
                          const ForwardProgress& progress);
std::string denoising_chunk(ChunkShape shape, const AnswerHead& head, const DenoisingStep& step);

std::string models_json(const std::string& model, std::int64_t created, const ModelInfo& info);
std::string model_json(const std::string& model, std::int64_t created, const ModelInfo& info);
std::string tokens_json(std::span<const std::int32_t> tokens, std::int64_t max_positions,
                        const std::vector<std::string>* texts);
std::string detokenized_json(const std::string& text);

struct TokenizerDescription {
  std::string eos_token, bos_token, pad_token, mask_token, chat_template;  ///< empty: null
  std::int64_t vocabulary = 0, max_positions = 0;
};
std::string tokenizer_json(const TokenizerDescription& tokenizer);
std::string status_json(std::string_view status);

/// The OpenAPI 3.1 description of all of it, for a model of that name.
std::string openapi_json(const std::string& model, const ModelInfo& info);

}  // namespace fdllm::server
