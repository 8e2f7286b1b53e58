#include "decode/cache/policy.h"

namespace fdllm {

const CachePolicy kNoCache = {.kind = CacheKind::kNone,
                              .name = "none",
                              .keeps_rows = false,
                              .window = [](Range, std::int32_t length) {
                                return Range{0, length};
                              }};

}  // namespace fdllm
