#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// How one value is written: what the operator % and str.format have in common.
struct FormatSpec {
  std::string fill = " ";
  char align = '\0';  ///< < > ^ or = (between sign and digits); absent: by the kind of value
  char sign = '-';    ///< + or a blank: shown before what isn't negative
  bool alternate = false;
  std::int64_t width = 0;       ///< characters
  char grouping = '\0';         ///< , or _ between thousands
  std::int64_t precision = -1;  ///< absent where negative
  char type = '\0';
};

/// [[fill]align][sign][#][0][width][grouping][.precision][type]
FormatSpec parse_format_spec(std::string_view text, Runtime& runtime);

/// Cut to the precision and padded to the width.
std::string format_text(std::string_view text, const FormatSpec& spec, Runtime& runtime);
/// Types d, b, o, x, X, c, n.
std::string format_integer(std::int64_t value, const FormatSpec& spec, Runtime& runtime);
/// Types e, E, f, F, g, G, n, % and none.
std::string format_float(double value, const FormatSpec& spec, Runtime& runtime);

}  // namespace fdllm::jinja
