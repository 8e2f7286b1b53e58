#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/events.h"

namespace fdllm {

/// Turns the events of one request into text that can be printed as it grows and is never taken
/// back: the committed tokens that no mask precedes, up to the first end token or stop string.
class AnswerStream {
 public:
  struct Settings {
    std::int32_t prompt_length = 0;
    std::int32_t gen_length = 0;
    std::vector<std::int32_t> end_tokens;
    std::vector<std::string> stop;
    /// Text of token ids without special tokens, invalid bytes as U+FFFD.
    std::function<std::string(std::span<const std::int32_t>)> detokenize;
  };

  explicit AnswerStream(Settings settings)
      : settings_(std::move(settings)), tokens_(settings_.gen_length, -1) {}

  /// The text that this event adds.
  std::string push(const StepEvent& event);
  /// What is still to be printed of the whole answer.
  std::string finish(std::string_view text);

 private:
  Settings settings_;
  std::vector<std::int32_t> tokens_;  ///< -1: masked
  std::size_t ready_ = 0;             ///< leading tokens that are committed and no end
  bool ended_ = false;
  std::string printed_;
};

}  // namespace fdllm
