#include "base/json.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/json_python.h"
#include "base/lfs_pointer.h"
#include "base/quote.h"

namespace fdllm {
namespace {

using nlohmann::json;

bool is_printable(char c) {
  return c >= 0x20 && c <= 0x7e;
}

/// What stands at byte `at` of a text that is no JSON: printable ASCII, or the number of a byte.
std::string found_text(std::string_view text, std::size_t at) {
  constexpr std::size_t kLongest = 24;
  if (!is_printable(text[at])) {
    return fmt::format("byte 0x{:02x}", static_cast<unsigned char>(text[at]));
  }
  // From the beginning of a word on, of which the parser may have read a part.
  const auto is_word = [&](std::size_t i) {
    return (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
           (text[i] >= '0' && text[i] <= '9');
  };
  std::size_t begin = at;
  while (begin > 0 && at - begin < kLongest / 2 && is_word(begin - 1)) --begin;
  std::size_t end = at;
  while (end < text.size() && end - begin < kLongest && is_printable(text[end])) ++end;
  return quote(text.substr(begin, end - begin));
}

/// `at` counts from 0 and may be the size of the text, where it ends too early.
[[noreturn]] void fail_at(std::string_view text, std::string_view source, std::size_t at) {
  refuse_lfs_pointer(text, source);
  const std::string_view before = text.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  constexpr std::string_view kNothing(" \t\r\n\0", 5);  // zeros: a download that has not filled it
  const bool ends = text.find_first_not_of(kNothing, at) == std::string_view::npos;
  const std::string what =
      ends ? "it ends too early; was the file cut off?" : "found " + found_text(text, at);
  fail(ErrorCode::kCorruptFile, "{}: byte {} (line {}, column {}): not valid JSON: {}", source,
       at + 1, line, at - line_begin + 1, what);
}

// Before parsing, because values that are nested too deep are a danger to every recursive walk
// over them later, and because the parser takes a zero byte for the end of the text.
void check_outside_of_texts(std::string_view text, std::string_view source, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) {
        fail(ErrorCode::kCorruptFile, "{}: byte {}: JSON nested deeper than {} levels", source, i,
             max_depth);
      }
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == '\0') {
      fail_at(text, source, i);
    }
  }
}

/// Builds the value, puts special numbers in their places and finds keys that come twice.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view source, DuplicateKeys duplicates,
          const std::vector<SpecialNumber>& special)
      : source_(source), duplicates_(duplicates), special_(special) {}

  json take() { return std::move(root_); }
  /// Of a syntax error: the bytes that were read, at most one more than there are.
  std::size_t error_position() const { return error_position_; }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add_number(value); }
  bool number_unsigned(number_unsigned_t value) override { return add_number(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return add_number(value);
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }

  bool start_object(std::size_t /*elements*/) override { return open(json::value_t::object); }
  bool start_array(std::size_t /*elements*/) override { return open(json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    json& object = *open_.back();
    if (duplicates_ == DuplicateKeys::kReject && object.contains(name)) {
      fail(ErrorCode::kCorruptFile, "{}: {} stands twice in one object", source_, quote(name));
    }
    member_ = &object[name];
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    error_position_ = position;
    return false;
  }

 private:
  template <typename T>
  bool add(T&& value) {
    place() = std::forward<T>(value);
    return true;
  }

  template <typename T>
  bool add_number(T value) {
    const std::size_t ordinal = numbers_++;
    if (next_special_ < special_.size() && special_[next_special_].ordinal == ordinal) {
      return add(special_[next_special_++].value);
    }
    return add(value);
  }

  bool open(json::value_t kind) {
    json& container = place();
    container = json(kind);
    open_.push_back(&container);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// Where the next value goes. Addresses of open containers hold: nothing is added to what a
  /// container is in before it is closed.
  json& place() {
    if (open_.empty()) return root_;
    json& container = *open_.back();
    if (container.is_object()) return *member_;
    container.push_back(nullptr);
    return container.back();
  }

  std::string_view source_;
  DuplicateKeys duplicates_;
  const std::vector<SpecialNumber>& special_;
  json root_;
  std::vector<json*> open_;
  json* member_ = nullptr;
  std::size_t numbers_ = 0, next_special_ = 0;
  std::size_t error_position_ = 0;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view source,
                          const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    fail(ErrorCode::kCorruptFile, "{}: expected at most {} bytes of JSON, found {}", source,
         limits.max_bytes, text.size());
  }
  check_outside_of_texts(text, source, limits.max_depth);
  StrictJson strict;
  if (limits.dialect == JsonDialect::kPython) {
    make_strict(text, strict);
  } else {
    strict.text = text;
  }
  Builder builder(source, limits.duplicate_keys, strict.numbers);
  if (!json::sax_parse(strict.text.begin(), strict.text.end(), &builder)) {
    const std::size_t read = builder.error_position();
    fail_at(text, source, std::min(read == 0 ? 0 : read - 1, text.size()));
  }
  return builder.take();
}

}  // namespace fdllm
