#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "text/jinja/arithmetic.h"
#include "text/jinja/comparison.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/json_text.h"
#include "text/jinja/methods.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_format.h"
#include "text/jinja/python_repr.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja::filters {
namespace {

/// jinja2's soft_str: a string as it is, anything else as it prints.
Text soft_text(const Value& value, Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&value)) return *text;
  return std::get<Text>(runtime.text(to_text(value, runtime)));
}

Value call_method_of(const Value& value, std::string_view name, const Arguments& arguments,
                     Runtime& runtime) {
  return call_text_method(soft_text(value, runtime), name, arguments, runtime);
}

Value safe_text(std::string text, Runtime& runtime) {
  runtime.budget().charge_bytes(text.size());
  return Text{std::make_shared<const std::string>(std::move(text)), true};
}

const Text& require_text(const Value& value, std::string_view filter, Runtime& runtime) {
  if (const auto* text = std::get_if<Text>(&value)) return *text;
  runtime.require_defined(value);
  runtime.error(fmt::format("'{}' expects a string, found {}", filter, kind_name(value)));
}

std::string blanks(std::int64_t count, Runtime& runtime) {
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  runtime.budget().charge_bytes(size);
  return std::string(size, ' ');
}

}  // namespace

Value capitalize(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return call_method_of(value, "capitalize", arguments, runtime);
}

Value lower(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return call_method_of(value, "lower", arguments, runtime);
}

Value upper(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return call_method_of(value, "upper", arguments, runtime);
}

Value center(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "center", arguments, {"width"});
  const Arguments width{{bound.value(0, std::int64_t{80})}, {}};
  return call_method_of(value, "center", width, runtime);
}

Value trim(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "trim", arguments, {"chars"});
  const Arguments characters{{bound.value(0, None{})}, {}};
  return call_method_of(value, "strip", characters, runtime);
}

/// Words begin at the start and behind white space, brackets and hyphens, not behind other signs
/// as in Python's title().
Value title(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "title", arguments, {});
  const Text text = soft_text(value, runtime);
  runtime.budget().charge_bytes(text->size() * 8);
  std::string out;
  std::string word;
  bool word_is_sign = false;
  const auto finish = [&] {
    if (word.empty()) return;
    const std::size_t first = utf8_length(word[0]);
    out += to_upper(word.substr(0, first)) + to_lower(word.substr(first));
    word.clear();
  };
  for (const std::string_view character : characters_of(*text)) {
    const bool is_sign = std::string_view("-({[<").find(character) != std::string_view::npos ||
                         is_python_space(read_utf8(character, 0).value);
    if (is_sign != word_is_sign) finish();
    word_is_sign = is_sign;
    word += character;
  }
  finish();
  return runtime.text(std::move(out));
}

Value string(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "string", arguments, {});
  return soft_text(value, runtime);
}

Value safe(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "safe", arguments, {});
  return safe_text(to_text(value, runtime), runtime);
}

Value escape(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "escape", arguments, {});
  const Text text = soft_text(value, runtime);
  return text.is_safe ? Value(text) : safe_text(escape_html(*text), runtime);
}

Value force_escape(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "forceescape", arguments, {});
  return safe_text(escape_html(to_text(value, runtime)), runtime);
}

Value replace(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "replace", arguments, {"old", "new", "count"}, 2);
  const auto plain = [&](const Value& part) { return runtime.text(to_text(part, runtime)); };
  Arguments plain_arguments{{plain(bound.at(0)), plain(bound.at(1))}, {}};
  if (bound.is_set(2)) plain_arguments.positional.push_back(bound.at(2));
  return call_text_method(std::get<Text>(plain(value)), "replace", plain_arguments, runtime);
}

Value format(const Value& value, const Arguments& arguments, Runtime& runtime) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    runtime.error("'format' takes values by position or by name, not both");
  }
  Value values = runtime.list(arguments.positional, ListKind::kTuple);
  if (!arguments.named.empty()) {
    std::vector<std::pair<Value, Value>> items;
    for (const auto& [name, item] : arguments.named) items.emplace_back(text_value(name), item);
    values = runtime.dict(std::move(items));
  }
  return arithmetic(ExprKind::kModulo, soft_text(value, runtime), values, runtime);
}

Value indent(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "indent", arguments, {"width", "first", "blank"});
  const Text& text = require_text(value, "indent", runtime);
  const bool has_text = bound.has(0) && holds<Text>(bound.at(0));
  const std::string indention = has_text ? bound.text(0) : blanks(bound.integer(0, 4), runtime);
  const std::string whole = *text + "\n";
  const std::vector<std::string_view> lines = split_lines(whole, false);
  runtime.budget().charge_bytes(whole.size() + lines.size() * 16);
  runtime.budget().charge_bytes(indention.size(), lines.size() + 1);
  std::string out = bound.flag(1) ? indention : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (bound.flag(2) || !lines[i].empty())) out += indention;
    out += lines[i];
  }
  return Text{std::make_shared<const std::string>(std::move(out)), text.is_safe};
}

Value tojson(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "tojson", arguments,
                    {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.flag(0);
  style.sort_keys = bound.flag(3);
  if (bound.is_set(1)) {
    style.indent = holds<Text>(bound.at(1)) ? bound.text(1) : blanks(bound.integer(1), runtime);
    style.item_separator = ",";
  }
  if (bound.is_set(2)) {
    const std::vector<Value> parts = runtime.iterate(bound.at(2));
    if (parts.size() != 2 || !holds<Text>(parts[0]) || !holds<Text>(parts[1])) {
      runtime.error("'tojson' expects two strings as 'separators'");
    }
    style.item_separator = *std::get<Text>(parts[0]);
    style.key_separator = *std::get<Text>(parts[1]);
  }
  return runtime.text(to_json(value, style, runtime));
}

Value truncate(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "truncate", arguments, {"length", "killwords", "end", "leeway"});
  const Value length = bound.value(0, std::int64_t{255});
  const std::string end = bound.text(2, "...");
  const std::int64_t leeway = bound.is_set(3) ? bound.integer(3) : 5;
  if (leeway < 0 || is_less(length, count_characters(end), runtime)) {
    runtime.error("'truncate' to less than its end, or a negative leeway");
  }
  const Value most = arithmetic(ExprKind::kAdd, length, leeway, runtime);
  if (!is_less(most, filters::length(value, {}, runtime), runtime)) return value;
  const Text& text = require_text(value, "truncate", runtime);
  const std::int64_t kept = bound.integer(0, 255) - count_characters(end);
  const std::string_view head = std::string_view(*text).substr(0, offset_of_character(*text, kept));
  if (bound.flag(1)) return runtime.text(std::string(head) + end);
  return runtime.text(std::string(rsplit_at(head, " ", 1)[0]) + end);
}

Value striptags(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "striptags", arguments, {});
  std::string text = to_text(value, runtime);
  runtime.budget().charge_bytes(text.size() * 4);
  std::string kept;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    const bool is_comment = rest.starts_with("<!--");
    const std::size_t close = is_comment ? rest.find("-->") : rest.find('>');
    if (rest[0] == '<' && close != std::string_view::npos) {
      i += close + (is_comment ? 3 : 1);
    } else if (rest[0] == '<') {
      kept += rest;
      break;
    } else {
      kept += rest[0];
      ++i;
    }
  }
  if (kept.find('&') != std::string::npos) runtime.unsupported("'striptags' of text with '&'");
  std::string joined;
  for (const std::string_view word : split_at_space(kept, -1)) {
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return runtime.text(std::move(joined));
}

Value wordcount(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "wordcount", arguments, {});
  const Text text = soft_text(value, runtime);
  runtime.budget().charge_bytes(text->size() * 8);
  std::int64_t count = 0;
  bool in_word = false;
  for (const std::string_view character : characters_of(*text)) {
    const bool is_word = character == "_" || is_text_of(character, TextClass::kAlnum);
    count += is_word && !in_word ? 1 : 0;
    in_word = is_word;
  }
  return count;
}

Value xmlattr(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "xmlattr", arguments, {"autospace"});
  const auto* dict = std::get_if<const Dict*>(&value);
  if (dict == nullptr) runtime.error("'xmlattr' expects a dictionary");
  std::string out;
  for (const auto& [key, item] : (*dict)->items) {
    if (holds<None>(item) || holds<Undefined>(item)) continue;
    const std::string& name = *require_text(key, "xmlattr", runtime);
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      runtime.error("'xmlattr' with a name that no attribute can have");
    }
    if (!out.empty()) out += ' ';
    const Text text = soft_text(item, runtime);
    out += escape_html(name) + "=\"" + (text.is_safe ? *text : escape_html(*text)) + "\"";
    runtime.budget().charge_bytes(name.size() + text->size() * 5);
  }
  if (bound.flag(0, true) && !out.empty()) out.insert(0, " ");
  return runtime.text(std::move(out));
}

}  // namespace fdllm::jinja::filters
