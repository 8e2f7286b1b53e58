#include <memory>
#include <utility>

#include "base/check.h"
#include "engine/infill_text.h"
#include "server/api_types.h"
#include "server/respond.h"
#include "server/routes/routes.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kMaxAnswers = 128;

/// Holes with bounds: of all their lengths the one whose tokens are the most probable is answered.
void check_candidates(const InfillRequest& asked, std::size_t canvases) {
  if (canvases == 1) return;
  if (canvases * static_cast<std::size_t>(asked.n) > kMaxAnswers) {
    throw ApiError(400,
                   fmt::format("'n': the bounds of the holes allow {} canvases, and canvases times "
                               "n may be at most {}",
                               canvases, kMaxAnswers),
                   "n");
  }
  if (asked.denoising) {
    refuse_parameter("stream_options.denoising",
                     "of a hole with bounds several canvases are denoised; give a length");
  }
}

}  // namespace

HttpResponse infill(Context& context, const HttpRequest& request) {
  const InfillRequest asked = parse_infill_request(request.body);
  check_model(context, asked);
  const std::string where = fmt::format("'{}'", asked.field);
  const auto lists = hole_lengths(asked.parts, kMaxCanvases, where);
  check_candidates(asked, lists.size());
  const auto text = std::make_shared<const InfillText>(context.engine, asked.parts,
                                                       std::vector<std::int32_t>(), where);
  AnswerJob job;
  job.shape = ChunkShape::kInfill;
  job.fields = asked;
  for (std::int32_t i = 0; i < asked.n; ++i) {
    for (const auto& lengths : lists) {
      job.answers.push_back(plan_infill(context, asked, text, lengths, i));
      if (lists.size() > 1 && !job.answers.back().request.confidence_is_probability()) {
        refuse_parameter(asked.field,
                         "a hole with bounds takes the length whose tokens are the most probable, "
                         "but with this unmasking rule confidences are no probabilities; give a "
                         "length, or another rule");
      }
    }
  }
  const ResolvedRequest& canvas = job.answers.front().request;
  job.prompt_tokens = std::ssize(canvas.prompt_ids()) - canvas.masks();
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
