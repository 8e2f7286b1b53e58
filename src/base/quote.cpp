#include "base/quote.h"

#include "base/utf8.h"

namespace fdllm {

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  const std::size_t size = text.size() > kLongest ? utf8_start(text, kLongest) : text.size();
  std::string quoted = "'";
  for (const char c : text.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  quoted += size < text.size() ? "...'" : "'";
  return quoted;
}

}  // namespace fdllm
