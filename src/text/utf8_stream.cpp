#include "text/utf8_stream.h"

#include "base/utf8.h"

namespace fdllm {

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  std::string text;
  std::size_t offset = 0;
  while (offset < pending_.size()) {
    const Utf8Unit unit = read_utf8(pending_, offset);
    if (unit.status == Utf8Status::kIncomplete) break;
    if (unit.status == Utf8Status::kValid) {
      text.append(pending_, offset, unit.size);
    } else {
      text += kReplacement;
    }
    offset += unit.size;
  }
  pending_.erase(0, offset);
  return text;
}

std::string Utf8Stream::finish() {
  // What is pending is one cut-off character, hence one replacement.
  std::string text(pending_.empty() ? std::string_view() : kReplacement);
  pending_.clear();
  return text;
}

}  // namespace fdllm
