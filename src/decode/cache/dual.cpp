#include "decode/cache/policy.h"

namespace fdllm {

const CachePolicy kDualCache = {.kind = CacheKind::kDual,
                                .name = "dual",
                                .keeps_rows = true,
                                .window = [](Range block, std::int32_t) { return block; }};

}  // namespace fdllm
