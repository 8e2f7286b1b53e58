#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace fdllm {

enum class DuplicateKeys : std::uint8_t { kLastWins, kReject };

enum class JsonDialect : std::uint8_t {
  kStrict,  ///< RFC 8259
  /// What Python's json.load reads, for files that Python wrote: NaN, Infinity and -Infinity,
  /// numbers of any size (one beyond the range of a double is infinite) and halves of surrogate
  /// pairs in texts (each read as U+FFFD).
  kPython,
};

struct JsonLimits {
  std::size_t max_bytes = std::size_t{256} << 20;
  int max_depth = 64;  ///< nested objects and arrays
  DuplicateKeys duplicate_keys = DuplicateKeys::kLastWins;
  JsonDialect dialect = JsonDialect::kStrict;
};

/// Parses JSON that came from outside. Throws kCorruptFile naming `source` (a file, or what the
/// text is), the place and what stands there: for a syntax error, invalid UTF-8, more bytes or
/// deeper nesting than `limits` allows, or a key twice in one object where that is rejected.
nlohmann::json parse_json(std::string_view text, std::string_view source,
                          const JsonLimits& limits = {});

}  // namespace fdllm
