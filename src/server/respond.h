#pragma once
#include <vector>

#include "server/api_types.h"
#include "server/context.h"
#include "server/http.h"
#include "server/planning.h"

namespace fdllm::server {

/// What is to be answered, and in which shape.
struct AnswerJob {
  ChunkShape shape = ChunkShape::kChat;
  GenerationFields fields;
  std::vector<PlannedAnswer> answers;  ///< choices in their order, the candidates of each together
  std::int64_t prompt_tokens = 0;      ///< of all prompts, each counted once
};

/// Generates the answers: at once or, where fields.stream says so, as server-sent events. Throws
/// Error and ApiError while nothing has been sent; later errors become an event. Cancels the
/// engine's requests when the client is gone.
HttpResponse respond(Context& context, const HttpRequest& request, AnswerJob job);

}  // namespace fdllm::server
