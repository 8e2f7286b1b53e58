#pragma once
#include <string>
#include <string_view>

namespace fdllm {

/// Turns a stream of token bytes into text that never ends in half a character.
class Utf8Stream {
 public:
  /// Takes bytes, returns the text that is now complete (invalid parts as U+FFFD).
  std::string push(std::string_view bytes);
  /// The rest, an incomplete character as U+FFFD.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace fdllm
