#pragma once
#include <string_view>

namespace fdllm {

/// Whether the bytes are valid UTF-8 (no overlong forms, surrogates or values above U+10FFFF).
bool is_valid_utf8(std::string_view text);

}  // namespace fdllm
