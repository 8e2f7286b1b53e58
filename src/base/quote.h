#pragma once
#include <string>
#include <string_view>

namespace fdllm {

/// 'text' for a message: in quotes, control characters as '?', cut after about 100 bytes (at a
/// UTF-8 boundary). For names that come from files, which may be long or hostile.
std::string quote(std::string_view text);

}  // namespace fdllm
