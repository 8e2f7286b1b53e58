#pragma once
#include <string_view>
#include <vector>

#include "server/api_types.h"
#include "server/api_types_values.h"

namespace fdllm::server {

/// Messages as OpenAI's clients, LangChain, LiteLLM, the AI SDK and others keep and send them. Text
/// parts are joined by line ends, as vLLM does. What can't change the answer is let through; tool
/// calls, images and sound are refused. Throws ApiError.
std::vector<ChatMessage> read_messages(std::string_view field, const Json& value);

/// JSON Schema of what read_messages() takes.
Json messages_schema();

}  // namespace fdllm::server
