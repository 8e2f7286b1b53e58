#include "text/added_tokens.h"

#include <algorithm>

#include <utf8proc.h>

#include "base/utf8.h"
#include "text/unicode.h"

namespace fdllm {
namespace {

std::uint64_t edge_key(std::uint32_t node, char byte) {
  return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
}

/// Unicode's word characters: alphabetic, marks, decimal digits, connectors and joiners.
bool is_word(char32_t value) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  // Joiners, and the enclosed letters that are alphabetic though their category is "other symbol".
  return value == 0x200C || value == 0x200D || (value >= 0x24B6 && value <= 0x24E9) ||
         (value >= 0x1F130 && value <= 0x1F149) || (value >= 0x1F150 && value <= 0x1F169) ||
         (value >= 0x1F170 && value <= 0x1F189);
}

std::size_t start_of_last(std::string_view text) {
  return utf8_start(text, text.size() - 1);
}

bool ends_in_word(std::string_view text) {
  return !text.empty() && is_word(read_utf8(text, start_of_last(text)).value);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(read_utf8(text, 0).value);
}

std::size_t without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const std::size_t start = start_of_last(text);
    if (!is_white_space(read_utf8(text, start).value)) break;
    text = text.substr(0, start);
  }
  return text.size();
}

std::size_t leading_space(std::string_view text) {
  std::size_t offset = 0;
  while (offset < text.size()) {
    const Utf8Unit unit = read_utf8(text, offset);
    if (!is_white_space(unit.value)) break;
    offset += unit.size;
  }
  return offset;
}

}  // namespace

void AddedTokenMatcher::add(std::string_view content, const AddedToken& token) {
  std::uint32_t node = 0;
  for (const char byte : content) {
    const auto [edge, inserted] = edges_.try_emplace(edge_key(node, byte), nodes_);
    if (inserted) ++nodes_;
    node = edge->second;
  }
  if (node != 0) ends_[node] = {token.id, token.lstrip, token.rstrip, token.single_word};
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::longest_at(std::string_view text,
                                                                      std::size_t offset) const {
  std::optional<Match> longest;
  std::uint32_t node = 0;
  for (std::size_t index = offset; index < text.size(); ++index) {
    const auto edge = edges_.find(edge_key(node, text[index]));
    if (edge == edges_.end()) break;
    node = edge->second;
    const auto end = ends_.find(node);
    if (end != ends_.end()) longest = Match{index + 1 - offset, end->second};
  }
  return longest;
}

std::vector<TextPart> AddedTokenMatcher::split(std::string_view text, std::size_t most) const {
  std::vector<TextPart> parts;
  std::size_t found = 0;
  std::size_t done = 0;
  std::size_t offset = 0;
  // Ends of the white space that the last rstrip token took. Tokens inside that space are found
  // nevertheless, as `tokenizers` does.
  std::size_t space_end = 0;
  while (!edges_.empty() && offset < text.size()) {
    const std::optional<Match> match = longest_at(text, offset);
    if (!match) {
      ++offset;
      continue;
    }
    std::size_t begin = offset;
    std::size_t end = offset + match->size;
    offset = end;
    if (match->flags.single_word &&
        (ends_in_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (match->flags.lstrip) {
      // Not beyond what the match before this one took.
      const std::size_t from = std::min(begin, done);
      begin = std::max(done, from + without_trailing_space(text.substr(from, begin - from)));
    }
    if (match->flags.rstrip) {
      if (end >= space_end) space_end = end + leading_space(text.substr(end));
      end = space_end;
    }
    if (begin > done) parts.push_back({text.substr(done, begin - done), std::nullopt});
    if (begin < end) {
      parts.push_back({text.substr(begin, end - begin), match->flags.id});
      if (++found > most) return parts;
    }
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), std::nullopt});
  return parts;
}

}  // namespace fdllm
