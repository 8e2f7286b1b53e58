#pragma once
#include <string_view>

namespace fdllm::server {

/// HTTP's words (names of headers, schemes, codings, ...) are the same in upper and lower case.
bool equal_ignoring_case(std::string_view a, std::string_view b);
/// Without the blanks and tabs around it.
std::string_view trimmed(std::string_view text);
/// Whether a header value that is a list with commas has that word.
bool has_word(std::string_view list, std::string_view word);
/// Whether the character may be part of a method or of a header's name.
bool is_token_character(char c);
/// Whether it is a control character other than a tab.
bool is_control(char c);
/// The value of a hexadecimal digit, or -1.
int hex_digit(char c);

}  // namespace fdllm::server
