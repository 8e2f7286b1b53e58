#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace fdllm {

enum class DuplicateKeys : std::uint8_t { kLastWins, kReject };

struct JsonLimits {
  std::size_t max_bytes = std::size_t{256} << 20;
  int max_depth = 64;  ///< nested objects and arrays
  DuplicateKeys duplicate_keys = DuplicateKeys::kLastWins;
};

/// Parses JSON that came from outside. Throws kCorruptFile naming `source` (a file, or what the
/// text is) and the byte: for a syntax error, invalid UTF-8, more bytes or deeper nesting than
/// `limits` allows, or a key twice in one object where that is rejected.
nlohmann::json parse_json(std::string_view text, std::string_view source,
                          const JsonLimits& limits = {});

}  // namespace fdllm
