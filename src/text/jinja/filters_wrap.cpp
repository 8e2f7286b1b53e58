#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/python_text.h"

/// The filters `wordwrap` and `urlencode`.
namespace fdllm::jinja::filters {
namespace {

bool is_blank(std::string_view chunk) {
  // textwrap knows the blanks of ASCII only.
  return chunk.find_first_not_of("\t\n\x0b\x0c\r ") == std::string_view::npos;
}

bool is_letter(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) return false;
  return is_text_of(text.substr(offset, utf8_length(text[offset])), TextClass::kAlpha);
}

/// Where a hyphen at `i` lets a word be parted: after two letters and before two.
bool parts_at_hyphen(std::string_view word, std::size_t i) {
  if (word[i] != '-' || i < 2) return false;
  std::size_t before = i;
  for (int letters = 0; letters < 2; ++letters) {
    if (before == 0) return false;
    before = utf8_start(word, before - 1);
    if (!is_letter(word, before)) return false;
  }
  if (!is_letter(word, i + 1)) return false;
  return is_letter(word, i + 1 + utf8_length(word[i + 1]));
}

/// Runs of blanks, and words parted at hyphens where that is asked for.
std::vector<std::string_view> chunks_of(std::string_view line, bool break_on_hyphens) {
  std::vector<std::string_view> chunks;
  for (std::size_t start = 0; start < line.size();) {
    const bool blank = is_blank(line.substr(start, 1));
    std::size_t end = start + 1;
    while (end < line.size() && is_blank(line.substr(end, 1)) == blank) {
      if (!blank && break_on_hyphens && parts_at_hyphen(line.substr(start), end - start)) {
        ++end;
        break;
      }
      ++end;
    }
    chunks.push_back(line.substr(start, end - start));
    start = end;
  }
  return chunks;
}

struct WrapStyle {
  std::int64_t width;
  bool break_long_words;
  bool break_on_hyphens;
};

/// Python's textwrap.wrap of one line, white space kept as it is.
std::vector<std::string> wrap_line(std::string_view line, const WrapStyle& style) {
  std::vector<std::string_view> chunks = chunks_of(line, style.break_on_hyphens);
  std::reverse(chunks.begin(), chunks.end());
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<std::string_view> current;
    std::int64_t length = 0;
    if (!lines.empty() && is_blank(chunks.back())) chunks.pop_back();
    while (!chunks.empty() && length + count_characters(chunks.back()) <= style.width) {
      length += count_characters(chunks.back());
      current.push_back(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && count_characters(chunks.back()) > style.width) {
      if (style.break_long_words) {
        const std::int64_t room = std::max<std::int64_t>(style.width - length, 1);
        const std::size_t cut = offset_of_character(chunks.back(), room);
        current.push_back(chunks.back().substr(0, cut));
        chunks.back().remove_prefix(cut);
        if (chunks.back().empty()) chunks.pop_back();
      } else if (current.empty()) {
        current.push_back(chunks.back());
        chunks.pop_back();
      }
    }
    if (!current.empty() && is_blank(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::string joined;
    for (const std::string_view chunk : current) joined += chunk;
    lines.push_back(std::move(joined));
  }
  return lines;
}

/// Python's urllib quote of the text's bytes.
std::string url_quote(std::string_view text, std::string_view safe) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos || safe.find(c) != std::string_view::npos) {
      out += c;
    } else if (safe.empty() && c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace

Value wordwrap(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "wordwrap", arguments,
                    {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const auto* text = std::get_if<Text>(&value);
  if (text == nullptr) runtime.error(fmt::format("'wordwrap' of {}", kind_name(value)));
  const WrapStyle style{bound.integer(0, 79), bound.flag(1, true), bound.flag(3, true)};
  if (style.width <= 0) runtime.error("'wordwrap' expects a width above 0");
  const std::string newline = bound.is_set(2) ? bound.text(2) : "\n";
  // Long words are counted again for each line that they fill.
  const std::size_t lines = (*text)->size() / static_cast<std::size_t>(style.width) + 1;
  runtime.budget().charge_bytes((*text)->size() + 16, std::min(lines, (*text)->size() + 1));
  runtime.budget().charge_bytes(newline.size() + 32, (*text)->size() + 1);
  std::string out;
  bool is_first = true;
  for (const std::string_view line : split_lines(**text, false)) {
    if (!is_first) out += newline;
    is_first = false;
    std::string_view separator;
    for (const std::string& part : wrap_line(line, style)) {
      out += separator;
      separator = newline;
      out += part;
    }
  }
  return runtime.text(std::move(out));
}

Value urlencode(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "urlencode", arguments, {});
  const bool has_pairs = holds<const Dict*>(value) || holds<const List*>(value) ||
                         holds<Iterator*>(value) || holds<Undefined>(value);
  if (!has_pairs) {
    const std::string text = to_text(value, runtime);
    runtime.budget().charge_bytes(text.size() * 4);
    return runtime.text(url_quote(text, "/"));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (const auto* dict = std::get_if<const Dict*>(&value)) {
    pairs = (*dict)->items;
  } else {
    for (const Value& item : runtime.iterate(value)) {
      const std::vector<Value> parts = runtime.iterate(item);
      if (parts.size() != 2) runtime.error("'urlencode' expects pairs");
      pairs.emplace_back(parts[0], parts[1]);
    }
  }
  std::string out;
  for (const auto& [key, item] : pairs) {
    if (!out.empty()) out += '&';
    out += url_quote(to_text(key, runtime), "") + "=" + url_quote(to_text(item, runtime), "");
    runtime.budget().charge_bytes(out.size());
  }
  return runtime.text(std::move(out));
}

}  // namespace fdllm::jinja::filters
