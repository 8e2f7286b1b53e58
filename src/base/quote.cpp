#include "base/quote.h"

namespace fdllm {

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  std::size_t size = text.size();
  if (size > kLongest) {
    size = kLongest;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0u) == 0x80u) --size;
  }
  std::string quoted = "'";
  for (const char c : text.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  quoted += size < text.size() ? "...'" : "'";
  return quoted;
}

}  // namespace fdllm
