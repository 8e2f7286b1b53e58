#include "decode/cache/policy.h"

namespace fdllm {
namespace {

ForwardPlan plan(const Canvas& canvas, Range block, StepKind kind) {
  if (kind == StepKind::kRefresh) return kNoCache.plan(canvas, block, kind);
  return plan_of_rows(canvas, block, {block.begin, canvas.length()});
}

}  // namespace

const CachePolicy kPrefixCache = {
    .kind = CacheKind::kPrefix, .name = "prefix", .keeps_rows = true, .plan = plan};

}  // namespace fdllm
