#include "fastdllm/infill.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

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
  check_candidates(asked, hole_lengths(asked.parts, kMaxCanvases, where).size());
  const auto text = std::make_shared<const InfillText>(context.engine, asked.parts,
                                                       std::vector<std::int32_t>(), where);
  AnswerJob job;
  job.shape = ChunkShape::kInfill;
  job.fields = asked;
  for (std::int32_t i = 0; i < asked.n; ++i) {
    for (PlannedAnswer& answer : plan_infill(context, asked, text, i)) {
      job.answers.push_back(std::move(answer));
    }
  }
  const ResolvedRequest& canvas = job.answers.front().request;
  job.prompt_tokens = std::ssize(canvas.prompt_ids()) - canvas.masks();
  return respond(context, request, std::move(job));
}

}  // namespace fdllm::server
