#pragma once

namespace fdllm {

/// Unicode's White_Space property.
bool is_white_space(char32_t value);

/// Columns of a terminal that a character takes: 0 (marks and what is not shown), 1 or 2, after
/// Unicode's East Asian Width and general category.
int character_width(char32_t value);

}  // namespace fdllm
