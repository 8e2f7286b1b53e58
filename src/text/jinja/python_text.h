#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What Python's str does to text in UTF-8. Positions and lengths count characters where they are
/// called so, bytes elsewhere.
namespace fdllm::jinja {

std::vector<std::string_view> characters_of(std::string_view text);
std::int64_t count_characters(std::string_view text);
/// The offset in bytes of character `index`; the text's size where there are fewer.
std::size_t offset_of_character(std::string_view text, std::int64_t index);

enum class Side : std::uint8_t { kLeft, kRight, kBoth };
/// str.strip: of the characters in `characters`, or of white space where that is null.
std::string_view strip(std::string_view text, const std::string* characters, Side side);

/// str.split and str.rsplit at white space; at most `most` splits unless that is negative.
std::vector<std::string_view> split_at_space(std::string_view text, std::int64_t most);
std::vector<std::string_view> rsplit_at_space(std::string_view text, std::int64_t most);
/// The same at a separator, which isn't empty.
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t most);
std::vector<std::string_view> rsplit_at(std::string_view text, std::string_view separator,
                                        std::int64_t most);
/// str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
/// str.replace; at most `most` times unless that is negative. `from` may be empty.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        std::int64_t most);

/// HTML's &, <, >, ' and " as markupsafe writes them.
std::string escape_html(std::string_view text);

}  // namespace fdllm::jinja
