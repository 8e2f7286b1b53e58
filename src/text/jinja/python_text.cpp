#include "text/jinja/python_text.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/jinja/python_characters.h"

namespace fdllm::jinja {
namespace {

std::size_t start_of_last(std::string_view text) {
  return utf8_start(text, text.size() - 1);
}

bool is_space_at(std::string_view text, std::size_t offset) {
  return is_python_space(read_utf8(text, offset).value);
}

/// What str.splitlines takes for the end of a line.
bool ends_line(char32_t value) {
  return (value >= 0x0A && value <= 0x0D) || (value >= 0x1C && value <= 0x1E) || value == 0x85 ||
         value == 0x2028 || value == 0x2029;
}

}  // namespace

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> characters;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t size = utf8_length(text[offset]);
    characters.push_back(text.substr(offset, size));
    offset += size;
  }
  return characters;
}

std::int64_t count_characters(std::string_view text) {
  return static_cast<std::int64_t>(fdllm::count_characters(text));
}

std::size_t offset_of_character(std::string_view text, std::int64_t index) {
  std::size_t offset = 0;
  while (index-- > 0 && offset < text.size()) offset += utf8_length(text[offset]);
  return offset;
}

std::string_view strip(std::string_view text, const std::string* characters, Side side) {
  const auto drops = [&](std::string_view unit) {
    if (characters == nullptr) return is_python_space(read_utf8(unit, 0).value);
    return characters->find(unit) != std::string::npos;
  };
  if (side != Side::kRight) {
    while (!text.empty() && drops(text.substr(0, utf8_length(text.front())))) {
      text.remove_prefix(utf8_length(text.front()));
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty() && drops(text.substr(start_of_last(text)))) {
      text = text.substr(0, start_of_last(text));
    }
  }
  return text;
}

std::vector<std::string_view> split_at_space(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, Side::kLeft);
  while (!text.empty()) {
    std::size_t end = 0;
    while (end < text.size() && !is_space_at(text, end)) end += utf8_length(text[end]);
    // The last part keeps its trailing space only where the count of splits stopped it.
    if (most >= 0 && std::ssize(parts) == most) end = text.size();
    parts.push_back(text.substr(0, end));
    text = strip(text.substr(end), nullptr, Side::kLeft);
  }
  return parts;
}

std::vector<std::string_view> rsplit_at_space(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, Side::kRight);
  while (!text.empty()) {
    std::size_t start = text.size();
    while (start > 0) {
      const std::size_t previous = start_of_last(text.substr(0, start));
      if (is_space_at(text, previous)) break;
      start = previous;
    }
    if (most >= 0 && std::ssize(parts) == most) start = 0;
    parts.push_back(text.substr(start));
    text = strip(text.substr(0, start), nullptr, Side::kRight);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t most) {
  std::vector<std::string_view> parts;
  std::size_t found = text.find(separator);
  while (found != std::string_view::npos && std::ssize(parts) != most) {
    parts.push_back(text.substr(0, found));
    text.remove_prefix(found + separator.size());
    found = text.find(separator);
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> rsplit_at(std::string_view text, std::string_view separator,
                                        std::int64_t most) {
  std::vector<std::string_view> parts;
  std::size_t found = text.rfind(separator);
  while (found != std::string_view::npos && std::ssize(parts) != most) {
    parts.push_back(text.substr(found + separator.size()));
    text = text.substr(0, found);
    found = text.rfind(separator);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t start = 0, offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    std::size_t next = offset + unit.size;
    if (ends_line(unit.value)) {
      if (unit.value == U'\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(start, (keep_ends ? next : offset) - start));
      start = next;
    } else if (next == text.size()) {
      lines.push_back(text.substr(start));
    }
    offset = next;
  }
  return lines;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        std::int64_t most) {
  std::string result;
  if (from.empty()) {
    // Before each character, and at the end.
    for (const std::string_view character : characters_of(text)) {
      if (most != 0) {
        result += to;
        --most;
      }
      result += character;
    }
    if (most != 0) result += to;
    return result;
  }
  std::size_t start = 0;
  for (std::size_t found = text.find(from); found != std::string_view::npos && most != 0;
       found = text.find(from, start), --most) {
    result.append(text.substr(start, found - start)).append(to);
    start = found + from.size();
  }
  return result.append(text.substr(start));
}

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '\'':
        result += "&#39;";
        break;
      case '"':
        result += "&#34;";
        break;
      default:
        result.push_back(c);
    }
  }
  return result;
}

}  // namespace fdllm::jinja
