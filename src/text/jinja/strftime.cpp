#include <array>
#include <cstddef>
#include <ctime>
#include <string>

#include "text/jinja/functions.h"

namespace fdllm::jinja {
namespace {

/// What the C library knows, and Python's %f.
constexpr std::string_view kDirectives = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%f";
constexpr std::string_view kFlags = "-_0^#+";
constexpr std::size_t kMaxPadding = 3;  // digits of a directive's width

/// One directive, which is short: "%-d", "%E", "%10Y".
std::string write_directive(const std::string& directive, const std::tm& time) {
  std::array<char, 2048> buffer{};
  const std::size_t size = std::strftime(buffer.data(), buffer.size(), directive.c_str(), &time);
  return {buffer.data(), size};
}

}  // namespace

std::string format_time(std::string_view format, const std::tm& time, Runtime& runtime) {
  std::string out;
  for (std::size_t i = 0; i < format.size();) {
    if (format[i] != '%') {
      out += format[i++];
      continue;
    }
    std::size_t end = i + 1;
    while (end < format.size() && kFlags.find(format[end]) != std::string_view::npos) ++end;
    const std::size_t digits = end;
    while (end < format.size() && format[end] >= '0' && format[end] <= '9') ++end;
    if (end - digits > kMaxPadding) runtime.error("a date with so large a width");
    if (end < format.size() && (format[end] == 'E' || format[end] == 'O')) ++end;
    if (end == format.size() || kDirectives.find(format[end]) == std::string_view::npos) {
      // The C library leaves what it doesn't know as it is.
      out += format.substr(i, end + 1 - i);
      i = end + 1;
      continue;
    }
    const char letter = format[end];
    // The time is rendered to the second, and a local time without a zone has none to print.
    if (letter == 'f') {
      out += "000000";
    } else if (letter != 'z' && letter != 'Z') {
      out += write_directive(std::string(format.substr(i, end + 1 - i)), time);
    }
    runtime.budget().charge(16);
    i = end + 1;
  }
  return out;
}

}  // namespace fdllm::jinja
