#include <utility>

#include "base/check.h"
#include "server/api_types.h"
#include "server/engine_text.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {
namespace {

/// The canvas of all parts: their tokens, and masks for the holes.
GenerateRequest canvas_of(const Engine& engine, const std::vector<InfillPart>& parts) {
  GenerateRequest request;
  const std::int64_t positions = engine.info().max_positions;
  for (const InfillPart& part : parts) {
    if (const auto* text = std::get_if<std::string>(&part)) {
      const std::vector<std::int32_t> ids =
          prompt_tokens(engine, *text, AroundText::kNothing, "parts");
      request.prompt_ids.insert(request.prompt_ids.end(), ids.begin(), ids.end());
    } else {
      const std::int32_t length = std::get<std::int32_t>(part);
      const auto begin = static_cast<std::int32_t>(request.prompt_ids.size());
      for (std::int32_t i = 0; i < length && begin + i < positions; ++i) {
        request.holes.push_back(begin + i);
      }
      request.prompt_ids.resize(request.prompt_ids.size() + static_cast<std::size_t>(length),
                                engine.info().mask_token);
    }
    if (std::cmp_greater(request.prompt_ids.size(), positions)) {
      throw ApiError(400,
                     fmt::format("'parts': the text and its holes are longer than the {} positions "
                                 "of the model",
                                 positions),
                     "parts", "context_length_exceeded");
    }
  }
  return request;
}

}  // namespace

HttpResponse infill(Context& context, const HttpRequest& request) {
  const InfillRequest asked = parse_infill_request(request.body);
  check_model(context, asked);
  GenerateRequest canvas = canvas_of(context.engine, asked.parts);
  AnswerJob job;
  job.shape = ChunkShape::kInfill;
  job.fields = asked;
  job.prompt_tokens = static_cast<std::int64_t>(canvas.prompt_ids.size() - canvas.holes.size());
  for (std::int32_t i = 0; i < asked.n; ++i) {
    job.answers.push_back(plan_infill(context, asked, canvas, i));
  }
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
