#include "base/utf8.h"

namespace fdllm {

Utf8Unit read_utf8(std::string_view text, std::size_t offset) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned lead = byte(offset);
  if (lead < 0x80) return {lead, 1, Utf8Status::kValid};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::size_t size = utf8_length(text[offset]);
  // The second byte's range excludes overlong forms, surrogates and values above U+10FFFF.
  const unsigned second_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned second_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t value = lead & (0x7Fu >> size);
  for (std::size_t index = 1; index < size; ++index) {
    if (offset + index == text.size()) return {0xFFFD, index, Utf8Status::kIncomplete};
    const unsigned next = byte(offset + index);
    const unsigned low = index == 1 ? second_min : 0x80;
    const unsigned high = index == 1 ? second_max : 0xBF;
    if (next < low || next > high) return {0xFFFD, index, Utf8Status::kInvalid};
    value = value << 6 | (next & 0x3F);
  }
  return {value, size, Utf8Status::kValid};
}

void append_utf8(std::string& text, char32_t value) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6);
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3F));
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

bool is_valid_utf8(std::string_view bytes) {
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    const Utf8Unit unit = read_utf8(bytes, offset);
    if (unit.status != Utf8Status::kValid) return false;
    offset += unit.size;
  }
  return true;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t offset = 0; offset < bytes.size();) {
    const Utf8Unit unit = read_utf8(bytes, offset);
    text += unit.status == Utf8Status::kValid ? bytes.substr(offset, unit.size) : kReplacement;
    offset += unit.size;
  }
  return text;
}

std::size_t count_characters(std::string_view text) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); at += read_utf8(text, at).size) ++characters;
  return characters;
}

}  // namespace fdllm
