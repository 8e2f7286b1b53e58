#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

#include "fields/values.h"

namespace fdllm::fields {

/// Messages as OpenAI's clients, LangChain, LiteLLM, the AI SDK and others keep and send them, and
/// as Hugging Face's data sets hold them: with what their chat templates read of them (name,
/// reasoning_content, tool_calls, tool_call_id, parts). Arguments of tool calls that are a text, as
/// OpenAI has them, become the object that templates take. What can't change the answer is let
/// through; images and sound are refused. Throws FieldError.
std::vector<ChatMessage> read_messages(std::string_view field, const Json& value);

enum class ToolCalls : std::uint8_t { kRead, kRefused };

/// JSON Schema of what read_messages() takes; where the model's chat template doesn't read calls of
/// tools, without those.
Json messages_schema(ToolCalls calls);

}  // namespace fdllm::fields
