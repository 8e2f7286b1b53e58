#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/events.h"

#include "engine/answer_cut.h"
#include "text/utf8_stream.h"

namespace fdllm {

/// Turns the events of one request into text that can be printed as it grows and is never taken
/// back: the committed tokens that no mask precedes, up to the first end token or stop string. All
/// events together cost time linear in the answer.
class AnswerStream {
 public:
  struct Settings {
    std::int32_t begin = 0;   ///< canvas position of the answer's first token
    std::int32_t length = 0;  ///< tokens that the answer may have
    std::vector<std::int32_t> end_tokens;
    std::vector<std::string> stop;
    TokenBytes token_bytes;
  };

  explicit AnswerStream(Settings settings);

  /// The text that this event adds.
  std::string push(const StepEvent& event);
  /// What is still to be printed of the whole answer.
  std::string finish(std::string_view text);
  /// Whether the answer has ended at a stop string.
  bool found_stop() const { return found_stop_; }

 private:
  void take_ready_tokens();
  /// Bytes of text_ that later tokens can't change: not a character of which only half is there,
  /// and not what may become a stop string.
  std::size_t settled() const;

  Settings settings_;
  std::size_t longest_stop_ = 0;
  std::vector<std::int32_t> tokens_;  ///< -1: masked
  std::size_t ready_ = 0;             ///< leading tokens whose text is in text_
  bool ended_ = false, found_stop_ = false;
  Utf8Stream characters_;
  std::string text_;
  std::size_t printed_ = 0;  ///< bytes of text_
};

}  // namespace fdllm
