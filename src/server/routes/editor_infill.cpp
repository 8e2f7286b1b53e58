#include <algorithm>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "server/api_types.h"
#include "server/engine_text.h"
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

/// The end of a text, or its beginning, as far as it may matter where so many tokens are kept.
/// Hardly any token has as many bytes.
constexpr std::size_t kBytesPerToken = 64;

std::string_view end_of(std::string_view text, std::size_t tokens) {
  if (text.size() <= tokens * kBytesPerToken) return text;
  return text.substr(utf8_start(text, text.size() - tokens * kBytesPerToken));
}

std::string_view beginning_of(std::string_view text, std::size_t tokens) {
  if (text.size() <= tokens * kBytesPerToken) return text;
  return text.substr(0, utf8_start(text, tokens * kBytesPerToken));
}

void keep_end(Ids& ids, std::size_t most) {
  if (ids.size() > most) ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(most));
}

/// As llama.cpp's server does: where there is too much text, what is next to the hole is kept. A
/// quarter of the room is the suffix's, more where the prefix doesn't need it.
Surroundings surroundings(const Context& context, const EditorRequest& asked) {
  const Engine& engine = context.engine;
  std::int64_t positions = engine.info().max_positions;
  if (context.options.max_prompt_tokens > 0) {
    positions = std::min(positions, context.options.max_prompt_tokens + middle_length(asked));
  }
  const Ids prompt = prompt_tokens(engine, asked.prompt, AroundText::kNothing, "prompt");
  const std::size_t room =
      count(positions - middle_length(asked) - static_cast<std::int64_t>(prompt.size()));
  // What is too much anyway is not worth the work of tokenizing it.
  const std::string_view near_extra = end_of(asked.extra, room);
  const std::string_view near_prefix = end_of(asked.prefix, room);
  const std::string_view near_suffix = beginning_of(asked.suffix, room);
  Ids extra = engine.tokenize(near_extra);
  Ids prefix = engine.tokenize(near_prefix);
  Surroundings text{{"prompt", {}}, engine.tokenize(near_suffix), false};
  const std::size_t all = extra.size() + prefix.size() + text.after.size();
  const std::size_t unused = room - std::min(room, prefix.size());
  text.after.resize(std::min(text.after.size(), std::max(room / 4, unused)));
  keep_end(prefix, room - std::min(room, text.after.size()));
  keep_end(extra, room - std::min(room, text.after.size() + prefix.size()));
  text.truncated = extra.size() + prefix.size() + text.after.size() < all ||
                   near_extra.size() < asked.extra.size() ||
                   near_prefix.size() < asked.prefix.size() ||
                   near_suffix.size() < asked.suffix.size();
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
