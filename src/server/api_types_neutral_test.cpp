#include <string>

#include <gtest/gtest.h>

#include "server/api_types.h"

namespace fdllm::server {
namespace {

std::string chat_with(const std::string& fields) {
  return R"({"messages": [{"role": "user", "content": "Hi"}], )" + fields + "}";
}

/// Values that ask for nothing, as load generators and clients of other servers send them.
TEST(NeutralFields, PassWhereTheyAskForNothing) {
  for (const char* field :
       {R"("repetition_penalty": 1.0)",
        R"("repetition_penalty": 1)",
        R"("presence_penalty": 0.0)",
        R"("min_p": 0)",
        R"("min_p": 0.0)",
        R"("top_k": -1)",
        R"("top_k": 0)",
        R"("top_p": 1.0)",
        R"("stop_token_ids": [])",
        R"("logit_bias": {"50256": 0})",
        R"("best_of": 1)",
        R"("best_of": 3, "n": 3)",
        R"("skip_special_tokens": true)",
        R"("min_tokens": 0)",
        R"("spaces_between_special_tokens": false)",
        R"("use_beam_search": false)",
        R"("length_penalty": 1.0)",
        R"("early_stopping": false)",
        R"("guided_json": null)",
        R"("guided_choice": null, "guided_regex": null, "guided_grammar": null)",
        R"("include_stop_str_in_output": false)",
        R"("truncate_prompt_tokens": null)",
        R"("add_special_tokens": false)",
        R"("add_generation_prompt": true)",
        R"("continue_final_message": false)",
        R"("chat_template": null)",
        R"("chat_template_kwargs": {})",
        R"("documents": [])",
        R"("echo": false)",
        R"("priority": 3)",
        R"("request_id": "a")",
        R"("cache_salt": "b")",
        R"("bad_words": [])",
        R"("parallel_tool_calls": true)",
        R"("tool_choice": "auto", "tools": [])",
        R"("service_tier": "auto", "store": true, "metadata": {})",
        R"("modalities": ["text"])",
        R"("prediction": {"type": "content", "content": "x"})",
        R"("reasoning_effort": "low")",
        R"("verbosity": "medium")",
        R"("thinking": {"type": "disabled"})",
        R"("audio": null)",
        R"("cache_prompt": true, "id_slot": -1)",
        R"("repeat_penalty": 1.0, "repeat_last_n": 64)",
        R"("dry_multiplier": 0.0, "dry_base": 1.75, "dry_sequence_breakers": ["\n"])",
        R"("xtc_probability": 0, "typical_p": 1, "mirostat": 0, "mirostat_tau": 5.0)",
        R"("samplers": ["top_k"], "n_probs": 0, "timings_per_token": false)",
        R"("stream_options": {"include_usage": false})",
        R"("stream_options": {})",
        R"("stream": true, "stream_options": {"continuous_usage_stats": false})",
        R"("lora_path": null, "regex": null, "ebnf": "", "return_hidden_states": false)",
        R"("user": "", "safety_identifier": "x", "prompt_cache_key": "y")"}) {
    SCOPED_TRACE(field);
    EXPECT_NO_THROW(parse_chat_request(chat_with(field)));
  }
}

}  // namespace
}  // namespace fdllm::server
