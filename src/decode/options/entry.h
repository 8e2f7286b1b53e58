#pragma once
// How an option of the table is made of a member of GenerateOptions.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fastdllm/options.h"

namespace fdllm {

/// Each parses `value` for `option` and throws kInvalidArgument naming both.
void parse_option(const GenerateOption& option, std::string_view value, std::int32_t& result);
/// Negative ones in two's complement: -1 is 2^64 - 1.
void parse_option(const GenerateOption& option, std::string_view value, std::uint64_t& result);
void parse_option(const GenerateOption& option, std::string_view value, double& result);
void parse_option(const GenerateOption& option, std::string_view value, bool& result);
void parse_option(const GenerateOption& option, std::string_view value, std::string& result);
void parse_option(const GenerateOption& option, std::string_view value,
                  std::vector<std::string>& result);
/// Which of the option's words `value` is.
std::size_t word_index(const GenerateOption& option, std::string_view value);

/// The words are the enumerators, in their order.
template <typename Enum>
requires std::is_enum_v<Enum>
void parse_option(const GenerateOption& option, std::string_view value, Enum& result) {
  result = static_cast<Enum>(word_index(option, value));
}
template <typename T>
void parse_option(const GenerateOption& option, std::string_view value, std::optional<T>& result) {
  T parsed{};
  parse_option(option, value, parsed);
  result = std::move(parsed);
}

template <typename T>
std::optional<std::string> option_text(const GenerateOption& option, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return option.words()[static_cast<std::size_t>(value)];
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return std::nullopt;
  } else {
    return fmt::format("{}", value);
  }
}
template <typename T>
std::optional<std::string> option_text(const GenerateOption& option,
                                       const std::optional<T>& value) {
  return value ? option_text(option, *value) : std::nullopt;
}

template <typename T>
struct ValueOf {
  using Type = T;
};
template <typename T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};

template <typename T>
constexpr GenerateOption::Kind kind_of() {
  using Kind = GenerateOption::Kind;
  if constexpr (std::is_same_v<T, bool>) return Kind::kFlag;
  if constexpr (std::is_same_v<T, double>) return Kind::kNumber;
  if constexpr (std::is_integral_v<T>) return Kind::kInteger;
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return Kind::kTexts;
  return Kind::kText;
}

/// The option that is kept in `Member`: GenerateOption's fields of these names, and how it is set
/// and read.
template <auto Member>
GenerateOption option(std::string name, std::string value_name, std::string help,
                      std::string otherwise = {}, std::optional<NumberRange> range = {}) {
  using Stored = std::remove_cvref_t<decltype(std::declval<GenerateOptions>().*Member)>;
  GenerateOption declared{.name = std::move(name),
                          .value_name = std::move(value_name),
                          .help = std::move(help),
                          .otherwise = std::move(otherwise),
                          .range = range};
  declared.kind = kind_of<typename ValueOf<Stored>::Type>();
  declared.store = [](const GenerateOption& self, GenerateOptions& options,
                      std::string_view value) { parse_option(self, value, options.*Member); };
  declared.read = [](const GenerateOption& self, const GenerateOptions& options) {
    return option_text(self, options.*Member);
  };
  declared.read_number = [](const GenerateOption&,
                            const GenerateOptions& options) -> std::optional<double> {
    using Value = typename ValueOf<Stored>::Type;
    if constexpr (std::is_arithmetic_v<Value>) {
      const std::optional<Value> value = options.*Member;
      if (value) return static_cast<double>(*value);
    }
    return std::nullopt;
  };
  return declared;
}

/// One that most people need.
inline GenerateOption common(GenerateOption declared) {
  declared.common = true;
  return declared;
}

}  // namespace fdllm
