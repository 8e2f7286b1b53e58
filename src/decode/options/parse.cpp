#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/quote.h"
#include "decode/options/entry.h"

namespace fdllm {
namespace {

[[noreturn]] void bad_value(const GenerateOption& option, std::string_view expected,
                            std::string_view value) {
  fail(ErrorCode::kInvalidArgument, "'{}': expected {}, found {}", option.field(), expected,
       quote(value));
}

template <typename T>
T parsed_number(const GenerateOption& option, std::string_view expected, std::string_view value) {
  const char* end = value.data() + value.size();
  T parsed{};
  const auto [stop, error] = std::from_chars(value.data(), end, parsed);
  if (error != std::errc{} || stop != end) bad_value(option, expected, value);
  return parsed;
}

}  // namespace

std::string GenerateOption::field() const {
  std::string result = name;
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

std::vector<std::string> GenerateOption::words() const {
  std::vector<std::string> result;
  std::string_view rest = value_name;
  if (rest.find('|') == std::string_view::npos) return result;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('|'), rest.size());
    result.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return result;
}

std::size_t word_index(const GenerateOption& option, std::string_view value) {
  const std::vector<std::string> words = option.words();
  std::string expected;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == value) return i;
    expected += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    expected += words[i];
  }
  bad_value(option, expected, value);
}

void parse_option(const GenerateOption& option, std::string_view value, std::int32_t& result) {
  result = parsed_number<std::int32_t>(option, "an integer", value);
}

void parse_option(const GenerateOption& option, std::string_view value, std::uint64_t& result) {
  constexpr std::string_view kExpected = "an integer from -2^63 to 2^64 - 1";
  result = value.starts_with('-')
               ? static_cast<std::uint64_t>(parsed_number<std::int64_t>(option, kExpected, value))
               : parsed_number<std::uint64_t>(option, kExpected, value);
}

void parse_option(const GenerateOption& option, std::string_view value, double& result) {
  const auto parsed = parsed_number<double>(option, "a number", value);
  if (!std::isfinite(parsed)) bad_value(option, "a finite number", value);
  result = parsed;
}

void parse_option(const GenerateOption& option, std::string_view value, bool& result) {
  if (value != "true" && value != "false") bad_value(option, "true or false", value);
  result = value == "true";
}

void parse_option(const GenerateOption& option, std::string_view value, std::string& result) {
  if (!option.words().empty()) word_index(option, value);
  result = value;
}

void parse_option(const GenerateOption& option, std::string_view value,
                  std::vector<std::string>& result) {
  if (value.empty()) bad_value(option, "a text that isn't empty", value);
  result.emplace_back(value);
}

}  // namespace fdllm
