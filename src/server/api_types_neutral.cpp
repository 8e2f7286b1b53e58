#include "server/api_types_neutral.h"

#include <array>

namespace fdllm::server {
namespace {

/// Values that ask for nothing.
enum NeutralValue : unsigned {
  kNothing = 0,  // null alone
  kFalse = 1U << 0U,
  kTrue = 1U << 1U,
  kZero = 1U << 2U,
  kOne = 1U << 3U,
  kMinusOne = 1U << 4U,
  kEmptyText = 1U << 5U,
  kEmptyList = 1U << 6U,
  kEmptyObject = 1U << 7U,
  kAnyNumber = 1U << 8U,
  kAnyText = 1U << 9U,
  kAnyList = 1U << 10U,
  kAnyObject = 1U << 11U,
  kAnyFlag = kFalse | kTrue,
};

struct ValueForm {
  unsigned bit;
  std::string_view words;   ///< for messages
  std::string_view schema;  ///< JSON Schema
  bool (*matches)(const Json& value);
};

constexpr std::array<ValueForm, 12> kForms = {{
    {kFalse, "false", R"({"const": false})", [](const Json& v) { return v == false; }},
    {kTrue, "true", R"({"const": true})", [](const Json& v) { return v == true; }},
    {kZero, "0", R"({"const": 0})", [](const Json& v) { return v.is_number() && v == 0; }},
    {kOne, "1", R"({"const": 1})", [](const Json& v) { return v.is_number() && v == 1; }},
    {kMinusOne, "-1", R"({"const": -1})", [](const Json& v) { return v.is_number() && v == -1; }},
    {kEmptyText, "an empty string", R"({"const": ""})", [](const Json& v) { return v == ""; }},
    {kEmptyList, "an empty list", R"({"type": "array", "maxItems": 0})",
     [](const Json& v) { return v.is_array() && v.empty(); }},
    {kEmptyObject, "an empty object", R"({"type": "object", "maxProperties": 0})",
     [](const Json& v) { return v.is_object() && v.empty(); }},
    {kAnyNumber, "a number", R"({"type": "number"})", [](const Json& v) { return v.is_number(); }},
    {kAnyText, "a string", R"({"type": "string"})", [](const Json& v) { return v.is_string(); }},
    {kAnyList, "a list", R"({"type": "array"})", [](const Json& v) { return v.is_array(); }},
    {kAnyObject, "an object", R"({"type": "object"})", [](const Json& v) { return v.is_object(); }},
}};

constexpr unsigned kTexts = kChat | kCompletion | kEditor;  // endpoints whose answers follow a text

// Reasons.
constexpr std::string_view kNoEffect = "accepted, without effect";
constexpr std::string_view kNoSoFar =
    "tokens are committed in parallel and in no fixed order, so there is no text so far by which "
    "tokens could be made more or less likely";
constexpr std::string_view kNoFilter =
    "the filters of this engine are temperature, top_p and top_k";
constexpr std::string_view kNoBeams = "an answer is denoised, not searched for from left to right";
constexpr std::string_view kNoGrammar =
    "tokens are committed out of order, which a grammar can't follow";
constexpr std::string_view kNoTools = "the models served here have no tool calling";
constexpr std::string_view kNoAlternatives =
    "the model keeps no alternatives to a committed token, and has no left-to-right likelihood of "
    "a given text";
constexpr std::string_view kTextOnly = "the models served here read and write text only";
constexpr std::string_view kNoTruncation =
    "a prompt is taken whole or refused; shorten it before it is sent";
constexpr std::string_view kOwnTemplate =
    "conversations are written by the model's own chat template";
constexpr std::string_view kNoIds = "answers are text; /tokenize gives ids";
constexpr std::string_view kNoSpecials = "special tokens are never part of an answer's text";
constexpr std::string_view kOneModel = "this server has one model and no adapters";

constexpr NeutralField kNeutral[] = {
    // OpenAI
    {"user", kAnyEndpoint, kAnyText, kNoEffect},
    {"safety_identifier", kAnyEndpoint, kAnyText, kNoEffect},
    {"prompt_cache_key", kAnyEndpoint, kAnyText, kNoEffect},
    {"prompt_cache_retention", kAnyEndpoint, kAnyText, kNoEffect},
    {"service_tier", kAnyEndpoint, kAnyText, kNoEffect},
    {"metadata", kAnyEndpoint, kAnyObject, kNoEffect},
    {"store", kAnyEndpoint, kAnyFlag, kNoEffect},
    {"prediction", kChat, kAnyObject, kNoEffect},  // makes OpenAI's answers faster, not others
    {"reasoning_effort", kChat, kAnyText, kNoEffect},
    {"parallel_tool_calls", kChat, kAnyFlag, kNoEffect},
    {"presence_penalty", kAnyEndpoint, kZero, kNoSoFar},
    {"frequency_penalty", kAnyEndpoint, kZero, kNoSoFar},
    {"top_logprobs", kChat, kZero, kNoAlternatives},
    {"tools", kChat | kTokenize, kEmptyList, kNoTools},
    {"functions", kChat, kEmptyList, kNoTools},
    {"audio", kChat, kNothing, kTextOnly},
    {"web_search_options", kChat, kNothing, "there is no search"},
    // vLLM, SGLang, TGI
    {"repetition_penalty", kAnyEndpoint, kOne, kNoSoFar},
    {"length_penalty", kAnyEndpoint, kOne, kNoBeams},
    {"diversity_penalty", kAnyEndpoint, kZero, kNoBeams},
    {"no_repeat_ngram_size", kAnyEndpoint, kZero, kNoSoFar},
    {"use_beam_search", kAnyEndpoint, kFalse, kNoBeams},
    {"early_stopping", kAnyEndpoint, kFalse, kNoBeams},
    {"num_beams", kAnyEndpoint, kOne, kNoBeams},
    {"beam_width", kAnyEndpoint, kOne, kNoBeams},
    {"min_p", kAnyEndpoint, kZero, kNoFilter},
    {"top_a", kAnyEndpoint, kZero, kNoFilter},
    {"typical_p", kAnyEndpoint, kOne, kNoFilter},
    {"top_n_tokens", kAnyEndpoint, kZero, kNoAlternatives},
    {"prompt_logprobs", kTexts, kNothing, kNoAlternatives},
    {"bad_words", kAnyEndpoint, kEmptyList, kNoFilter},
    {"bad_words_ids", kAnyEndpoint, kEmptyList, kNoFilter},
    {"allowed_token_ids", kAnyEndpoint, kNothing, kNoFilter},
    {"skip_special_tokens", kAnyEndpoint, kTrue, kNoSpecials},
    {"spaces_between_special_tokens", kAnyEndpoint, kAnyFlag, kNoEffect},
    {"include_stop_str_in_output", kTexts, kFalse, "an answer ends before its stop string"},
    {"no_stop_trim", kTexts, kFalse, "an answer ends before its stop string"},
    {"truncate_prompt_tokens", kAnyEndpoint, kNothing, kNoTruncation},
    {"truncate", kAnyEndpoint, kNothing, kNoTruncation},
    {"detokenize", kAnyEndpoint, kTrue, "answers are text"},
    {"return_tokens_as_token_ids", kAnyEndpoint, kFalse, kNoIds},
    {"return_token_ids", kAnyEndpoint, kFalse, kNoIds},
    {"return_hidden_states", kAnyEndpoint, kFalse, "answers are text"},
    {"priority", kAnyEndpoint, kAnyNumber, kNoEffect},  // requests begin in their order
    {"request_id", kAnyEndpoint, kAnyText, kNoEffect},
    {"rid", kAnyEndpoint, kAnyText, kNoEffect},
    {"cache_salt", kAnyEndpoint, kAnyText, kNoEffect},
    {"include_reasoning", kChat, kAnyFlag, kNoEffect},
    {"separate_reasoning", kChat, kAnyFlag, kNoEffect},
    {"stream_reasoning", kChat, kAnyFlag, kNoEffect},
    {"enable_thinking", kChat, kFalse, "the models served here don't think aloud"},
    {"echo", kChat, kFalse, "a chat's prompt isn't repeated"},
    {"documents", kChat, kEmptyList, kOwnTemplate},
    {"chat_template", kChat | kTokenize, kNothing, kOwnTemplate},
    {"continue_final_message", kChat | kTokenize, kFalse, kOwnTemplate},
    {"guided_json", kTexts, kNothing, kNoGrammar},
    {"guided_regex", kTexts, kNothing, kNoGrammar},
    {"guided_choice", kTexts, kNothing, kNoGrammar},
    {"guided_grammar", kTexts, kNothing, kNoGrammar},
    {"guided_decoding_backend", kTexts, kAnyText, kNoEffect},
    {"guided_whitespace_pattern", kTexts, kAnyText, kNoEffect},
    {"structural_tag", kTexts, kNothing, kNoGrammar},
    {"structured_outputs", kTexts, kEmptyObject, kNoGrammar},
    {"regex", kTexts, kEmptyText, kNoGrammar},
    {"ebnf", kTexts, kEmptyText, kNoGrammar},
    {"stop_regex", kTexts, kEmptyText | kEmptyList, "stop strings are taken as they are"},
    {"lora_path", kAnyEndpoint, kNothing, kOneModel},
    {"session_params", kAnyEndpoint, kNothing, "there are no sessions"},
    {"custom_logit_processor", kAnyEndpoint, kNothing, kNoFilter},
    {"logits_processors", kAnyEndpoint, kEmptyList, kNoFilter},
    {"kv_transfer_params", kAnyEndpoint, kNothing, "there is one server"},
    {"vllm_xargs", kAnyEndpoint, kEmptyObject, "this server has no such arguments"},
    {"mm_processor_kwargs", kChat | kTokenize, kEmptyObject, kTextOnly},
    {"media_io_kwargs", kChat | kTokenize, kEmptyObject, kTextOnly},
    // llama.cpp
    {"cache_prompt", kAnyEndpoint, kAnyFlag, kNoEffect},
    {"id_slot", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"n_keep", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"n_cache_reuse", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"n_probs", kAnyEndpoint, kZero, kNoAlternatives},
    {"post_sampling_probs", kAnyEndpoint, kFalse, kNoAlternatives},
    {"repeat_penalty", kAnyEndpoint, kOne, kNoSoFar},
    {"repeat_last_n", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"dry_multiplier", kAnyEndpoint, kZero, kNoSoFar},
    {"dry_base", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"dry_allowed_length", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"dry_penalty_last_n", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"dry_sequence_breakers", kAnyEndpoint, kAnyList, kNoEffect},
    {"xtc_probability", kAnyEndpoint, kZero, kNoFilter},
    {"xtc_threshold", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"tfs_z", kAnyEndpoint, kOne, kNoFilter},
    {"dynatemp_range", kAnyEndpoint, kZero, "the temperature is the same for all tokens"},
    {"dynatemp_exponent", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"mirostat", kAnyEndpoint, kZero, kNoFilter},
    {"mirostat_tau", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"mirostat_eta", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"samplers", kAnyEndpoint, kAnyList, kNoEffect},
    {"min_keep", kAnyEndpoint, kAnyNumber, kNoEffect},
    {"grammar", kTexts, kEmptyText, kNoGrammar},
    {"json_schema", kTexts, kEmptyObject, kNoGrammar},
    {"lora", kAnyEndpoint, kEmptyList, kOneModel},
    {"timings_per_token", kAnyEndpoint, kAnyFlag, kNoEffect},
    {"return_progress", kAnyEndpoint, kAnyFlag, kNoEffect},
    {"return_tokens", kAnyEndpoint, kFalse, kNoIds},
    {"response_fields", kAnyEndpoint, kAnyList, kNoEffect},
    {"reasoning_format", kAnyEndpoint, kAnyText, kNoEffect},
    {"n_indent", kEditor, kAnyNumber, kNoEffect},
    {"t_max_prompt_ms", kEditor, kAnyNumber, kNoEffect},
    {"t_max_predict_ms", kEditor, kAnyNumber, kNoEffect},
};

std::string expected(const NeutralField& field) {
  std::string words;
  for (const ValueForm& form : kForms) {
    if ((field.values & form.bit) == 0) continue;
    words += words.empty() ? "" : " or ";
    words += form.words;
  }
  return words.empty() ? "null" : words;
}

bool passes(const NeutralField& field, const Json& value) {
  if (value.is_null()) return true;
  for (const ValueForm& form : kForms) {
    if ((field.values & form.bit) != 0 && form.matches(value)) return true;
  }
  return false;
}

}  // namespace

std::span<const NeutralField> neutral_fields() {
  return kNeutral;
}

bool read_neutral_field(Endpoint endpoint, std::string_view name, const Json& value) {
  for (const NeutralField& field : kNeutral) {
    if (field.name != name || (field.endpoints & endpoint) == 0) continue;
    if (passes(field, value)) return true;
    if (field.reason == kNoEffect) bad_field(name, expected(field), value);
    refuse_parameter(name, "only " + expected(field) + " can be had: " + std::string(field.reason));
  }
  return false;
}

Json neutral_schema(const NeutralField& field) {
  Json forms = Json::array({{{"type", "null"}}});
  for (const ValueForm& form : kForms) {
    if ((field.values & form.bit) != 0) forms.push_back(Json::parse(form.schema));
  }
  const std::string reason(field.reason);
  return {
      {"anyOf", forms},
      {"description",
       field.reason == kNoEffect ? reason : "only what asks for nothing can be had: " + reason}};
}

}  // namespace fdllm::server
