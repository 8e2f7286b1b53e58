#pragma once
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "verify/trace.h"

namespace fdllm {

/// Whether a line of a trace file is of a family that decodes by blocks (tests/golden/README.md).
bool is_block_trace(const nlohmann::json& line);

/// Reads it. The request that replays it asks for a block more than was recorded, since the
/// recording's last forward stores a block that nothing follows: Trace::all_forwards. Throws
/// kCorruptFile naming `where` and the field.
Trace parse_block_trace(const nlohmann::json& line, std::string_view where);

}  // namespace fdllm
