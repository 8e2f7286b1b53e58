#include "text/jinja/json_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "base/utf8.h"
#include "text/jinja/comparison.h"
#include "text/jinja/python_repr.h"

namespace fdllm::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Runtime& runtime) : style_(style), runtime_(runtime) {}

  std::string take() { return std::move(out_); }

  void write(const Value& value) {
    const std::size_t before = out_.size();
    if (const auto* text = std::get_if<Text>(&value)) {
      runtime_.budget().charge_bytes((*text)->size());
      write_text(**text);
    } else if (const auto* list = std::get_if<const List*>(&value)) {
      write_list(**list);
    } else if (const auto* dict = std::get_if<const Dict*>(&value)) {
      write_dict(**dict);
    } else {
      out_ += scalar(value);
    }
    runtime_.budget().charge_bytes(out_.size() - before);
  }

 private:
  [[noreturn]] void refuse(const Value& value) const {
    runtime_.require_defined(value);
    runtime_.error(fmt::format("{} can't be written as JSON", kind_name(value)));
  }

  std::string scalar(const Value& value) const {
    if (holds<None>(value)) return "null";
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    const auto* real = std::get_if<double>(&value);
    if (real == nullptr) refuse(value);
    if (std::isnan(*real)) return "NaN";
    if (std::isinf(*real)) return *real < 0 ? "-Infinity" : "Infinity";
    return float_repr(*real);
  }

  void write_escape(char32_t value) {
    if (value > 0xFFFF) {
      const char32_t rest = value - 0x10000;
      write_escape(0xD800 + (rest >> 10));
      write_escape(0xDC00 + (rest & 0x3FF));
    } else {
      out_ += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(value));
    }
  }

  void write_text(std::string_view text) {
    constexpr std::string_view kSpecial = "\"\\\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\bfnrt";
    out_ += '"';
    for (std::size_t offset = 0; offset < text.size();) {
      const Utf8Unit unit = read_utf8(text, offset);
      const std::size_t found =
          unit.size == 1 ? kSpecial.find(text[offset]) : std::string_view::npos;
      if (found != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[found];
      } else if (unit.value < 0x20 || (style_.ensure_ascii && unit.value > 0x7E)) {
        // Python leaves U+007F as it is.
        if (unit.value == 0x7F) {
          out_ += text[offset];
        } else {
          write_escape(unit.value);
        }
      } else {
        out_ += text.substr(offset, unit.size);
      }
      offset += unit.size;
    }
    out_ += '"';
  }

  void start_line() {
    if (!style_.indent) return;
    out_ += '\n';
    runtime_.budget().charge_bytes(style_.indent->size(), level_);
    for (std::size_t i = 0; i < level_; ++i) out_ += *style_.indent;
  }

  /// Calls `write_item` for each of `items` between brackets, with separators and lines.
  template <typename Items, typename WriteItem>
  void write_all(std::string_view brackets, const Items& items, WriteItem&& write_item) {
    out_ += brackets[0];
    ++level_;
    std::string_view separator;
    for (const auto& item : items) {
      out_ += separator;
      runtime_.budget().charge_bytes(style_.item_separator.size());
      separator = style_.item_separator;
      start_line();
      write_item(item);
    }
    --level_;
    if (!items.empty()) start_line();
    out_ += brackets[1];
  }

  void write_list(const List& list) {
    if (list.kind != ListKind::kList && list.kind != ListKind::kTuple &&
        list.kind != ListKind::kGroup) {
      runtime_.error("a range or a view of a dictionary can't be written as JSON");
    }
    write_all("[]", list.items, [&](const Value& item) { write(item); });
  }

  /// Keys may be strings, numbers, booleans and none.
  std::string key_text(const Value& key) const {
    if (const auto* text = std::get_if<Text>(&key)) return **text;
    if (holds<const List*>(key)) runtime_.error("a tuple can't be a key in JSON");
    return scalar(key);
  }

  void write_dict(const Dict& dict) {
    auto items = dict.items;
    if (style_.sort_keys) {
      sort_values(
          items, [&](const auto& a, const auto& b) { return is_less(a.first, b.first, runtime_); },
          runtime_);
    }
    write_all("{}", items, [&](const auto& item) {
      write_text(key_text(item.first));
      out_ += style_.key_separator;
      write(item.second);
    });
  }

  const JsonStyle& style_;
  Runtime& runtime_;
  std::string out_;
  std::size_t level_ = 0;
};

/// Builds values while nlohmann's reader reads, since its own objects sort their keys.
class JsonReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonReader(Runtime& runtime) : runtime_(runtime) {}

  Value result() const { return result_; }

  bool null() override { return add(None{}); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override {
    if (value > std::uint64_t{INT64_MAX}) runtime_.unsupported("a number beyond 64 bits");
    return add(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string& /*digits*/) override { return add(value); }
  bool string(std::string& value) override { return add(runtime_.text(value)); }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(); }
  bool start_array(std::size_t /*size*/) override { return open(); }
  bool key(std::string& name) override {
    levels_.back().keys.push_back(name);
    return true;
  }
  bool end_array() override {
    Level level = close();
    return add(runtime_.list(std::move(level.items)));
  }
  bool end_object() override {
    Level level = close();
    std::vector<std::pair<Value, Value>> items;
    std::unordered_map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < level.items.size(); ++i) {
      const auto [place, is_new] = places.emplace(level.keys[i], items.size());
      if (is_new) {
        items.emplace_back(runtime_.text(level.keys[i]), std::move(level.items[i]));
      } else {
        items[place->second].second = std::move(level.items[i]);
      }
    }
    return add(runtime_.arena().dict(std::move(items)));
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return false;
  }

 private:
  struct Level {
    std::vector<Value> items;
    std::vector<std::string> keys;
  };

  bool open() {
    levels_.emplace_back();
    return true;
  }
  Level close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    return level;
  }
  bool add(Value value) {
    if (levels_.empty()) {
      result_ = std::move(value);
    } else {
      levels_.back().items.push_back(std::move(value));
    }
    return true;
  }

  Runtime& runtime_;
  Value result_ = None{};
  std::vector<Level> levels_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style, Runtime& runtime) {
  JsonWriter writer(style, runtime);
  writer.write(value);
  return writer.take();
}

Value from_json(std::string_view text, std::string_view source, Runtime& runtime) {
  // Says what is wrong with the text, and where, before the reader that keeps the keys' order.
  parse_json(text, source);
  JsonReader reader(runtime);
  nlohmann::json::sax_parse(text, &reader);
  return reader.result();
}

}  // namespace fdllm::jinja
