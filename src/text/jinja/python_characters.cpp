#include "text/jinja/python_characters.h"

#include <algorithm>
#include <vector>

#include <utf8proc.h>

#include "base/utf8.h"
#include "text/unicode.h"

namespace fdllm::jinja {
namespace {

utf8proc_category_t category(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

bool is_letter(char32_t value) {
  const auto kind = category(value);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

char32_t upper_of(char32_t value) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(value)));
}
char32_t lower_of(char32_t value) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(value)));
}
char32_t title_of(char32_t value) {
  return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(value)));
}

bool is_upper(char32_t value) {
  return category(value) == UTF8PROC_CATEGORY_LU || lower_of(value) != value;
}
bool is_lower(char32_t value) {
  return category(value) == UTF8PROC_CATEGORY_LL || upper_of(value) != value;
}
bool is_cased(char32_t value) {
  return category(value) == UTF8PROC_CATEGORY_LT || is_upper(value) || is_lower(value);
}

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> values;
  values.reserve(text.size());
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    offset += unit.size;
    values.push_back(unit.value);
  }
  return values;
}

/// Characters whose upper case is two: the sharp s and the ligatures of Latin.
std::u32string_view special_upper(char32_t value) {
  switch (value) {
    case U'\u00DF':
      return U"SS";
    case U'\u0149':
      return U"\u02BCN";
    case U'\u01F0':
      return U"J\u030C";
    case U'\uFB00':
      return U"FF";
    case U'\uFB01':
      return U"FI";
    case U'\uFB02':
      return U"FL";
    case U'\uFB05':
    case U'\uFB06':
      return U"ST";
    default:
      return {};
  }
}

void append_upper(std::string& out, char32_t value, bool as_title) {
  const std::u32string_view special = special_upper(value);
  if (special.empty()) {
    append_utf8(out, as_title ? title_of(value) : upper_of(value));
    return;
  }
  append_utf8(out, special[0]);
  append_utf8(out, as_title && is_letter(special[1]) ? lower_of(special[1]) : special[1]);
}

/// Appends values[index] in lower case. A sigma that ends a word has a form of its own.
void append_lower(std::string& out, const std::vector<char32_t>& values, std::size_t index) {
  const char32_t value = values[index];
  if (value == U'\u0130') {
    append_utf8(out, U'i');
    append_utf8(out, U'\u0307');
  } else if (value == U'\u03A3') {
    const bool after = index > 0 && is_cased(values[index - 1]);
    const bool before = index + 1 < values.size() && is_cased(values[index + 1]);
    append_utf8(out, after && !before ? U'\u03C2' : U'\u03C3');
  } else {
    append_utf8(out, lower_of(value));
  }
}

bool is_identifier(const std::vector<char32_t>& values) {
  const auto continues = [](char32_t value) {
    const auto kind = category(value);
    return value == U'_' || is_letter(value) || kind == UTF8PROC_CATEGORY_NL ||
           kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_MN ||
           kind == UTF8PROC_CATEGORY_MC || kind == UTF8PROC_CATEGORY_PC;
  };
  const char32_t first = values.front();
  return (first == U'_' || is_letter(first) || category(first) == UTF8PROC_CATEGORY_NL) &&
         std::all_of(values.begin(), values.end(), continues);
}

/// Whether a letter's case is as str.istitle wants it: upper case exactly where a word begins.
bool is_title(const std::vector<char32_t>& values) {
  bool in_word = false;
  bool found = false;
  for (const char32_t value : values) {
    const bool starts = is_upper(value) || category(value) == UTF8PROC_CATEGORY_LT;
    if (starts ? in_word : is_lower(value) && !in_word) return false;
    in_word = starts || is_lower(value);
    found = found || in_word;
  }
  return found;
}

bool is_digit_like(char32_t value) {
  constexpr std::u32string_view kDigitsThatAreNoDecimals = U"\u00B2\u00B3\u00B9";
  return category(value) == UTF8PROC_CATEGORY_ND ||
         kDigitsThatAreNoDecimals.find(value) != std::u32string_view::npos ||
         (value >= 0x2070 && value <= 0x2089 && value != 0x2071 && value != 0x2072 &&
          value != 0x2073 && !(value >= 0x207A && value <= 0x207F)) ||
         (value >= 0x2460 && value <= 0x2468);
}

bool is_numeric(char32_t value) {
  const auto kind = category(value);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

}  // namespace

bool is_python_space(char32_t value) {
  return is_white_space(value) || (value >= 0x1C && value <= 0x1F);
}

std::string to_upper(std::string_view text) {
  std::string result;
  for (const char32_t value : code_points(text)) append_upper(result, value, false);
  return result;
}

std::string to_lower(std::string_view text) {
  const std::vector<char32_t> values = code_points(text);
  std::string result;
  for (std::size_t i = 0; i < values.size(); ++i) append_lower(result, values, i);
  return result;
}

std::string capitalize(std::string_view text) {
  const std::vector<char32_t> values = code_points(text);
  std::string result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i == 0) {
      append_upper(result, values[i], true);
    } else {
      append_lower(result, values, i);
    }
  }
  return result;
}

std::string title_case(std::string_view text) {
  const std::vector<char32_t> values = code_points(text);
  std::string result;
  bool in_word = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (in_word) {
      append_lower(result, values, i);
    } else {
      append_upper(result, values[i], true);
    }
    in_word = is_cased(values[i]);
  }
  return result;
}

std::string swap_case(std::string_view text) {
  const std::vector<char32_t> values = code_points(text);
  std::string result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (is_upper(values[i])) {
      append_lower(result, values, i);
    } else {
      append_upper(result, values[i], false);
    }
  }
  return result;
}

bool is_text_of(std::string_view text, TextClass kind) {
  const std::vector<char32_t> values = code_points(text);
  const auto all = [&](auto&& condition) {
    return !values.empty() && std::all_of(values.begin(), values.end(), condition);
  };
  const auto any = [&](auto&& condition) {
    return std::any_of(values.begin(), values.end(), condition);
  };
  const auto is_title_letter = [](char32_t v) { return category(v) == UTF8PROC_CATEGORY_LT; };
  switch (kind) {
    case TextClass::kAlpha:
      return all(is_letter);
    case TextClass::kDigit:
      return all(is_digit_like);
    case TextClass::kDecimal:
      return all([](char32_t v) { return category(v) == UTF8PROC_CATEGORY_ND; });
    case TextClass::kNumeric:
      return all(is_numeric);
    case TextClass::kAlnum:
      return all([](char32_t v) { return is_letter(v) || is_numeric(v); });
    case TextClass::kSpace:
      return all(is_python_space);
    case TextClass::kLower:
      return any(is_lower) && !any([&](char32_t v) { return is_upper(v) || is_title_letter(v); });
    case TextClass::kUpper:
      return any(is_upper) && !any([&](char32_t v) { return is_lower(v) || is_title_letter(v); });
    case TextClass::kTitle:
      return is_title(values);
    case TextClass::kIdentifier:
      return !values.empty() && is_identifier(values);
    case TextClass::kAscii:
      return std::all_of(values.begin(), values.end(), [](char32_t v) { return v < 0x80; });
    case TextClass::kPrintable:
      return std::all_of(values.begin(), values.end(), is_printable);
  }
  return false;
}

bool is_printable(char32_t value) {
  if (value == U' ') return true;
  switch (category(value)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return false;
    default:
      return true;
  }
}

}  // namespace fdllm::jinja
