#include <algorithm>
#include <utility>

#include "server/api_types.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {
namespace {

using Ids = std::vector<std::int32_t>;

/// What of an editor's text goes onto the canvas.
struct Surroundings {
  PromptTokens before;
  Ids after;
  bool truncated = false;
};

std::size_t count(std::int64_t length) {
  return static_cast<std::size_t>(std::max<std::int64_t>(length, 0));
}

/// As llama.cpp's server does: where there is too much text, what is next to the hole is kept. A
/// quarter of the room is the suffix's, more where the prefix doesn't need it.
Surroundings surroundings(const Context& context, const EditorRequest& asked) {
  const Engine& engine = context.engine;
  Ids extra = engine.tokenize(asked.extra);
  Ids prefix = engine.tokenize(asked.prefix);
  const Ids prompt = engine.tokenize(asked.prompt);
  Surroundings text{{"prompt", {}}, engine.tokenize(asked.suffix), false};
  std::int64_t positions = engine.info().max_positions;
  if (context.options.max_prompt_tokens > 0) {
    positions = std::min(positions, context.options.max_prompt_tokens + middle_length(asked));
  }
  const std::size_t room =
      count(positions - middle_length(asked) - static_cast<std::int64_t>(prompt.size()));
  const std::size_t all = extra.size() + prefix.size() + text.after.size();
  const std::size_t unused = room - std::min(room, prefix.size());
  text.after.resize(std::min(text.after.size(), std::max(room / 4, unused)));
  const auto keep_end = [](Ids& ids, std::size_t most) {
    if (ids.size() > most) ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(most));
  };
  keep_end(prefix, room - std::min(room, text.after.size()));
  keep_end(extra, room - std::min(room, text.after.size() + prefix.size()));
  text.truncated = extra.size() + prefix.size() + text.after.size() < all;
  text.before.ids = std::move(extra);
  text.before.ids.insert(text.before.ids.end(), prefix.begin(), prefix.end());
  text.before.ids.insert(text.before.ids.end(), prompt.begin(), prompt.end());
  return text;
}

}  // namespace

HttpResponse editor_infill(Context& context, const HttpRequest& request) {
  const EditorRequest asked = parse_editor_request(request.body);
  check_model(context, asked);
  const Surroundings text = surroundings(context, asked);
  AnswerJob job;
  job.shape = ChunkShape::kEditor;
  job.fields = asked;
  job.prompt_tokens = static_cast<std::int64_t>(text.before.ids.size() + text.after.size());
  job.answers.push_back(plan_middle(context, asked, text.before, text.after, 0));
  job.answers.back().truncated = text.truncated;
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
