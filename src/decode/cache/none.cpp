#include "decode/cache/policy.h"

namespace fdllm {
namespace {

ForwardPlan plan(const Canvas& canvas, Range block, StepKind) {
  return plan_of_rows(canvas, block, {0, canvas.length()});
}

}  // namespace

const CachePolicy kNoCache = {
    .kind = CacheKind::kNone, .name = "none", .keeps_rows = false, .plan = plan};

}  // namespace fdllm
