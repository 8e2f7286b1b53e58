#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace fdllm {

/// GPT-2's spelling of arbitrary bytes as printable characters: a printable Latin-1 byte stands for
/// itself, the 68 others (controls, space, 0x7F..0xA0, 0xAD) for U+0100 onwards in byte order.
/// A vocabulary spells its tokens so (a space is "Ġ").
std::string spell_bytes(std::string_view bytes);

/// The inverse; nullopt where `spelling` has a character that spells no byte. `spelling` is valid
/// UTF-8.
std::optional<std::string> read_spelled_bytes(std::string_view spelling);

}  // namespace fdllm
