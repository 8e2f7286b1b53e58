#include "text/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace fdllm {
namespace {

constexpr bool spells_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr unsigned kFirstOther = 0x100;
constexpr unsigned kOthers = 68;

constexpr std::array<char16_t, 256> kByteToChar = [] {
  std::array<char16_t, 256> table{};
  unsigned next = kFirstOther;
  for (unsigned byte = 0; byte < 256; ++byte) {
    table[byte] = static_cast<char16_t>(spells_itself(byte) ? byte : next++);
  }
  return table;
}();

/// Byte + 1, or 0 where a character spells none.
constexpr std::array<char16_t, kFirstOther + kOthers> kCharToByte = [] {
  std::array<char16_t, kFirstOther + kOthers> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    table[kByteToChar[byte]] = static_cast<char16_t>(byte + 1);
  }
  return table;
}();

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string spelling;
  spelling.reserve(bytes.size());
  for (const char byte : bytes) {
    append_utf8(spelling, kByteToChar[static_cast<unsigned char>(byte)]);
  }
  return spelling;
}

std::optional<std::string> read_spelled_bytes(std::string_view spelling) {
  std::string bytes;
  bytes.reserve(spelling.size());
  for (std::size_t offset = 0; offset < spelling.size();) {
    const Utf8Unit unit = read_utf8(spelling, offset);
    if (unit.value >= kCharToByte.size() || kCharToByte[unit.value] == 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kCharToByte[unit.value] - 1));
    offset += unit.size;
  }
  return bytes;
}

}  // namespace fdllm
