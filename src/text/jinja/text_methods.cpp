#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_format.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja {
namespace {

/// One call of a method of Python's str.
class TextMethod {
 public:
  TextMethod(const std::string& text, std::string_view name, const Arguments& arguments,
             Runtime& runtime)
      : text_(text), name_(name), arguments_(arguments), runtime_(runtime) {
    runtime.budget().charge_bytes(text.size());
  }

  using Method = Value (TextMethod::*)() const;
  struct Entry {
    std::string_view name;
    Method method;
  };
  static const Entry* find(std::string_view name);

 private:
  Value text(std::string_view value) const { return runtime_.text(std::string(value)); }

  Value texts(const std::vector<std::string_view>& parts, ListKind kind = ListKind::kList) const {
    std::vector<Value> values;
    // A part costs a shared string besides its bytes.
    runtime_.budget().charge_bytes(parts.size() * 64);
    for (const std::string_view part : parts) values.push_back(text(part));
    return runtime_.list(std::move(values), kind);
  }

  Value changed() const {
    const Bound bound(runtime_, name_, arguments_, {});
    runtime_.budget().charge_bytes(text_.size() * 4);
    if (name_ == "upper") return text(to_upper(text_));
    if (name_ == "capitalize") return text(capitalize(text_));
    if (name_ == "title") return text(title_case(text_));
    if (name_ == "swapcase") return text(swap_case(text_));
    return text(to_lower(text_));
  }

  Value casefold() const {
    const Bound bound(runtime_, name_, arguments_, {});
    if (!is_text_of(text_, TextClass::kAscii)) {
      runtime_.unsupported("casefold of other characters than ASCII");
    }
    return text(to_lower(text_));
  }

  Value classified() const {
    constexpr std::pair<std::string_view, TextClass> kClasses[] = {
        {"isalpha", TextClass::kAlpha},     {"isdigit", TextClass::kDigit},
        {"isdecimal", TextClass::kDecimal}, {"isnumeric", TextClass::kNumeric},
        {"isalnum", TextClass::kAlnum},     {"isspace", TextClass::kSpace},
        {"islower", TextClass::kLower},     {"isupper", TextClass::kUpper},
        {"istitle", TextClass::kTitle},     {"isidentifier", TextClass::kIdentifier},
        {"isascii", TextClass::kAscii},     {"isprintable", TextClass::kPrintable}};
    const Bound bound(runtime_, name_, arguments_, {});
    const auto* found = std::find_if(std::begin(kClasses), std::end(kClasses),
                                     [&](const auto& entry) { return entry.first == name_; });
    runtime_.budget().charge_bytes(text_.size() * 4);
    return is_text_of(text_, found->second);
  }

  Value strip_side() const {
    const Bound bound(runtime_, name_, arguments_, {"chars"});
    const std::string* characters = bound.is_set(0) ? &bound.text(0) : nullptr;
    if (characters != nullptr) {
      runtime_.budget().charge_bytes(text_.size() / 16 + 1, characters->size() + 16);
    }
    const Side side = name_ == "strip"    ? Side::kBoth
                      : name_ == "lstrip" ? Side::kLeft
                                          : Side::kRight;
    return text(strip(text_, characters, side));
  }

  Value remove_affix() const {
    const Bound bound(runtime_, name_, arguments_, {"affix"}, 1);
    const std::string& affix = bound.text(0);
    std::string_view rest = text_;
    if (name_ == "removeprefix") {
      if (rest.starts_with(affix)) rest.remove_prefix(affix.size());
    } else if (rest.ends_with(affix)) {
      rest.remove_suffix(affix.size());
    }
    return text(rest);
  }

  /// The characters from `start` to `stop`, arguments 1 and 2, and how many stand before them;
  /// nothing where the start lies behind the end.
  std::optional<std::pair<std::string_view, std::int64_t>> window(const Bound& bound) const {
    const std::int64_t size = count_characters(text_);
    const auto settle = [&](std::size_t index, std::int64_t fallback) {
      const std::int64_t position = bound.is_set(index) ? bound.integer(index) : fallback;
      return std::max<std::int64_t>(position < 0 ? position + size : position, 0);
    };
    const std::int64_t start = settle(1, 0);
    const std::int64_t stop = std::min(settle(2, size), size);
    if (start > size || stop < start) return std::nullopt;
    const std::size_t begin = offset_of_character(text_, start);
    const std::size_t end = offset_of_character(text_, stop);
    return std::pair(std::string_view(text_).substr(begin, end - begin), start);
  }

  Value starts_or_ends() const {
    const Bound bound(runtime_, name_, arguments_, {"part", "start", "end"}, 1);
    const auto inside = window(bound);
    const auto fits = [&](const Value& part) {
      const auto* string = std::get_if<Text>(&part);
      if (string == nullptr) {
        runtime_.error(fmt::format("{} expects a string or a tuple of strings, found {}",
                                   quote(name_), kind_name(part)));
      }
      if (!inside) return false;
      return name_ == "startswith" ? inside->first.starts_with(**string)
                                   : inside->first.ends_with(**string);
    };
    const auto* tuple = std::get_if<const List*>(&bound.at(0));
    if (tuple == nullptr || (*tuple)->kind != ListKind::kTuple) return fits(bound.at(0));
    return std::any_of((*tuple)->items.begin(), (*tuple)->items.end(), fits);
  }

  /// find, rfind, index, rindex.
  Value find_part() const {
    const Bound bound(runtime_, name_, arguments_, {"part", "start", "end"}, 1);
    const std::string& part = bound.text(0);
    runtime_.budget().charge_bytes(text_.size() / 16 + 1, part.size() + 16);
    const auto inside = window(bound);
    std::size_t found = std::string_view::npos;
    if (inside) {
      found = name_.starts_with('r') ? inside->first.rfind(part) : inside->first.find(part);
    }
    if (found != std::string_view::npos) {
      return inside->second + count_characters(inside->first.substr(0, found));
    }
    if (name_.ends_with("index")) runtime_.error(quote(part) + " is not in the string");
    return std::int64_t{-1};
  }

  Value count() const {
    const Bound bound(runtime_, name_, arguments_, {"part", "start", "end"}, 1);
    const std::string& part = bound.text(0);
    runtime_.budget().charge_bytes(text_.size() / 16 + 1, part.size() + 16);
    const auto inside = window(bound);
    if (!inside) return std::int64_t{0};
    if (part.empty()) return count_characters(inside->first) + 1;
    std::int64_t count = 0;
    for (std::size_t found = inside->first.find(part); found != std::string_view::npos;
         found = inside->first.find(part, found + part.size())) {
      ++count;
    }
    return count;
  }

  const std::string& separator(const Bound& bound) const {
    const std::string& part = bound.text(0);
    if (part.empty()) runtime_.error(quote(name_) + " with an empty separator");
    runtime_.budget().charge_bytes(text_.size() / 16 + 1, part.size() + 16);
    return part;
  }

  Value split() const {
    const Bound bound(runtime_, name_, arguments_, {"sep", "maxsplit"});
    const std::int64_t most = bound.integer(1, -1);
    const bool from_right = name_ == "rsplit";
    if (!bound.is_set(0)) {
      return texts(from_right ? rsplit_at_space(text_, most) : split_at_space(text_, most));
    }
    const std::string& part = separator(bound);
    return texts(from_right ? rsplit_at(text_, part, most) : split_at(text_, part, most));
  }

  Value lines() const {
    const Bound bound(runtime_, name_, arguments_, {"keepends"});
    return texts(split_lines(text_, bound.integer(0) != 0));
  }

  Value partition() const {
    const Bound bound(runtime_, name_, arguments_, {"sep"}, 1);
    const std::string& part = separator(bound);
    const bool from_right = name_ == "rpartition";
    const std::string_view whole = text_;
    const std::size_t found = from_right ? whole.rfind(part) : whole.find(part);
    if (found == std::string_view::npos) {
      return from_right ? texts({"", "", whole}, ListKind::kTuple)
                        : texts({whole, "", ""}, ListKind::kTuple);
    }
    return texts({whole.substr(0, found), part, whole.substr(found + part.size())},
                 ListKind::kTuple);
  }

  Value replace() const {
    const Bound bound(runtime_, name_, arguments_, {"old", "new", "count"}, 2);
    return replace_text(bound.text(0), bound.text(1), bound.integer(2, -1));
  }

  Value replace_text(const std::string& from, const std::string& to, std::int64_t most) const {
    runtime_.budget().charge_bytes(text_.size() / 16 + 1, from.size() + 16);
    const std::size_t places = from.empty() ? text_.size() + 1 : text_.size() / from.size();
    const std::size_t times = most < 0 ? places : std::min(places, static_cast<std::size_t>(most));
    // As many replacements as there may be, where that matters.
    if (to.size() > from.size()) {
      std::size_t found = times;
      if (!from.empty()) {
        found = 0;
        for (std::size_t at = text_.find(from); at != std::string::npos && found < times;
             at = text_.find(from, at + from.size())) {
          ++found;
        }
      }
      runtime_.budget().charge_bytes(to.size(), found);
    }
    return text(replace_all(text_, from, to, most));
  }

  Value join() const {
    const Bound bound(runtime_, name_, arguments_, {"items"}, 1);
    std::string joined;
    bool first = true;
    for (const Value& item : runtime_.iterate(bound.at(0))) {
      const auto* part = std::get_if<Text>(&item);
      if (part == nullptr) {
        runtime_.error(fmt::format("join expects strings, found {}", kind_name(item)));
      }
      if (!first) joined += text_;
      first = false;
      joined += **part;
      runtime_.budget().charge_bytes(text_.size() + (*part)->size());
    }
    return text(joined);
  }

  Value pad() const {
    const Bound bound(runtime_, name_, arguments_, {"width", "fillchar"}, 1);
    const std::string fill = bound.text(1, " ");
    if (count_characters(fill) != 1)
      runtime_.error(quote(name_) + " expects one character to fill");
    const std::int64_t width = bound.integer(0);
    const std::int64_t size = count_characters(text_);
    const std::int64_t missing = std::max<std::int64_t>(width - size, 0);
    runtime_.budget().charge_bytes(fill.size(), static_cast<std::size_t>(missing));
    // Python puts the odd one to the left where the width is odd.
    std::int64_t left = name_ == "rjust" ? missing : 0;
    if (name_ == "center") left = missing / 2 + (missing & width & 1);
    std::string padded;
    for (std::int64_t i = 0; i < left; ++i) padded += fill;
    padded += text_;
    for (std::int64_t i = left; i < missing; ++i) padded += fill;
    return text(padded);
  }

  Value zero_fill() const {
    const Bound bound(runtime_, name_, arguments_, {"width"}, 1);
    const std::int64_t missing =
        std::max<std::int64_t>(bound.integer(0) - count_characters(text_), 0);
    runtime_.budget().charge_bytes(static_cast<std::size_t>(missing));
    const bool has_sign = text_.starts_with('+') || text_.starts_with('-');
    std::string filled = text_;
    filled.insert(has_sign ? 1 : 0, static_cast<std::size_t>(missing), '0');
    return text(filled);
  }

  Value expand_tabs() const {
    const Bound bound(runtime_, name_, arguments_, {"tabsize"});
    const std::int64_t size = bound.integer(0, 8);
    std::string out;
    std::int64_t column = 0;
    for (const std::string_view character : characters_of(text_)) {
      if (character == "\t") {
        const std::int64_t blanks = size > 0 ? size - column % size : 0;
        runtime_.budget().charge_bytes(static_cast<std::size_t>(blanks));
        out.append(static_cast<std::size_t>(blanks), ' ');
        column += blanks;
      } else {
        out += character;
        column = character == "\n" || character == "\r" ? 0 : column + 1;
      }
    }
    return text(out);
  }

  Value format() const { return text(brace_format(text_, arguments_, runtime_)); }

  Value format_map() const {
    const Bound bound(runtime_, name_, arguments_, {"mapping"}, 1);
    const auto* dict = std::get_if<const Dict*>(&bound.at(0));
    if (dict == nullptr) runtime_.error("format_map expects a dictionary");
    Arguments named;
    for (const auto& [key, value] : (*dict)->items) {
      if (const auto* name = std::get_if<Text>(&key)) named.named.emplace_back(**name, value);
    }
    return text(brace_format(text_, named, runtime_));
  }

  const std::string& text_;
  std::string_view name_;
  const Arguments& arguments_;
  Runtime& runtime_;
};

const TextMethod::Entry* TextMethod::find(std::string_view name) {
  static constexpr Entry kMethods[] = {{"capitalize", &TextMethod::changed},
                                       {"casefold", &TextMethod::casefold},
                                       {"center", &TextMethod::pad},
                                       {"count", &TextMethod::count},
                                       {"endswith", &TextMethod::starts_or_ends},
                                       {"expandtabs", &TextMethod::expand_tabs},
                                       {"find", &TextMethod::find_part},
                                       {"format", &TextMethod::format},
                                       {"format_map", &TextMethod::format_map},
                                       {"index", &TextMethod::find_part},
                                       {"isalnum", &TextMethod::classified},
                                       {"isalpha", &TextMethod::classified},
                                       {"isascii", &TextMethod::classified},
                                       {"isdecimal", &TextMethod::classified},
                                       {"isdigit", &TextMethod::classified},
                                       {"isidentifier", &TextMethod::classified},
                                       {"islower", &TextMethod::classified},
                                       {"isnumeric", &TextMethod::classified},
                                       {"isprintable", &TextMethod::classified},
                                       {"isspace", &TextMethod::classified},
                                       {"istitle", &TextMethod::classified},
                                       {"isupper", &TextMethod::classified},
                                       {"join", &TextMethod::join},
                                       {"ljust", &TextMethod::pad},
                                       {"lower", &TextMethod::changed},
                                       {"lstrip", &TextMethod::strip_side},
                                       {"partition", &TextMethod::partition},
                                       {"removeprefix", &TextMethod::remove_affix},
                                       {"removesuffix", &TextMethod::remove_affix},
                                       {"replace", &TextMethod::replace},
                                       {"rfind", &TextMethod::find_part},
                                       {"rindex", &TextMethod::find_part},
                                       {"rjust", &TextMethod::pad},
                                       {"rpartition", &TextMethod::partition},
                                       {"rsplit", &TextMethod::split},
                                       {"rstrip", &TextMethod::strip_side},
                                       {"split", &TextMethod::split},
                                       {"splitlines", &TextMethod::lines},
                                       {"startswith", &TextMethod::starts_or_ends},
                                       {"strip", &TextMethod::strip_side},
                                       {"swapcase", &TextMethod::changed},
                                       {"title", &TextMethod::changed},
                                       {"upper", &TextMethod::changed},
                                       {"zfill", &TextMethod::zero_fill}};
  const auto* found = std::find_if(std::begin(kMethods), std::end(kMethods),
                                   [&](const Entry& entry) { return entry.name == name; });
  return found != std::end(kMethods) ? found : nullptr;
}

}  // namespace

bool has_text_method(std::string_view name) {
  return TextMethod::find(name) != nullptr;
}

Value call_text_method(const Text& text, std::string_view name, const Arguments& arguments,
                       Runtime& runtime) {
  const bool joins = name == "join" || name.starts_with("format") || name == "replace";
  if (text.is_safe && joins) runtime.unsupported(quote(name) + " of a string that is marked safe");
  const TextMethod call(*text, name, arguments, runtime);
  Value result = (call.*(TextMethod::find(name)->method))();
  if (!text.is_safe) return result;
  if (auto* changed = std::get_if<Text>(&result)) changed->is_safe = true;
  if (const auto* parts = std::get_if<const List*>(&result)) {
    std::vector<Value> safe_parts = (*parts)->items;
    for (Value& part : safe_parts) std::get<Text>(part).is_safe = true;
    return runtime.list(std::move(safe_parts), (*parts)->kind);
  }
  return result;
}

}  // namespace fdllm::jinja
