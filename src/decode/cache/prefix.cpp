#include "decode/cache/policy.h"

namespace fdllm {

const CachePolicy kPrefixCache = {.kind = CacheKind::kPrefix,
                                  .name = "prefix",
                                  .keeps_rows = true,
                                  .window = [](Range block, std::int32_t length) {
                                    return Range{block.begin, length};
                                  }};

}  // namespace fdllm
