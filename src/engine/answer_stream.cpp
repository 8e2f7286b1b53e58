#include "engine/answer_stream.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace fdllm {

AnswerStream::AnswerStream(Settings settings)
    : settings_(std::move(settings)),
      tokens_(static_cast<std::size_t>(std::max(settings_.length, 0)), -1) {
  for (const std::string& stop : settings_.stop) {
    longest_stop_ = std::max(longest_stop_, stop.size());
  }
}

std::string AnswerStream::push(const StepEvent& event) {
  for (const TokenEvent& token : event.committed) {
    const std::int64_t index = std::int64_t{token.position} - settings_.begin;
    if (index >= 0 && index < static_cast<std::int64_t>(tokens_.size())) {
      tokens_[static_cast<std::size_t>(index)] = token.token;
    }
  }
  take_ready_tokens();
  const std::size_t end = settled();
  if (end <= printed_) return "";
  std::string added = text_.substr(printed_, end - printed_);
  printed_ = end;
  return added;
}

void AnswerStream::take_ready_tokens() {
  const std::size_t before = text_.size();
  while (!ended_ && ready_ < tokens_.size() && tokens_[ready_] >= 0) {
    const std::int32_t token = tokens_[ready_];
    ended_ = std::ranges::find(settings_.end_tokens, token) != settings_.end_tokens.end();
    if (ended_) break;
    text_ += characters_.push(settings_.token_bytes(token));
    ++ready_;
  }
  // A stop string may have begun in what was there before.
  const std::size_t from = before - std::min(before, longest_stop_);
  const std::size_t stop = find_stop(text_, settings_.stop, from);
  if (stop == std::string::npos) return;
  text_.resize(stop);
  ended_ = found_stop_ = true;
}

std::size_t AnswerStream::settled() const {
  std::string_view text = text_;
  // A limit may cut the answer after half a character, which is then left out.
  while (text.ends_with(kReplacement)) text.remove_suffix(kReplacement.size());
  std::size_t held = 0;
  for (const std::string& stop : settings_.stop) {
    for (std::size_t length = std::min(stop.size() - 1, text.size()); length > held; --length) {
      if (text.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  return text.size() - held;
}

std::string AnswerStream::finish(std::string_view text) {
  if (text.size() <= printed_) return "";
  std::string added(text.substr(printed_));
  printed_ = text.size();
  return added;
}

}  // namespace fdllm
