#pragma once
#include <string>
#include <string_view>

namespace fdllm {

/// Unicode normalization form C (Unicode 14) of valid UTF-8.
std::string normalize_nfc(std::string_view text);

}  // namespace fdllm
