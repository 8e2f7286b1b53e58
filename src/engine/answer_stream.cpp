#include "engine/answer_stream.h"

#include <algorithm>
#include <string_view>

namespace fdllm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string AnswerStream::push(const StepEvent& event) {
  for (const TokenEvent& token : event.committed) {
    const std::int64_t index = std::int64_t{token.position} - settings_.prompt_length;
    if (index >= 0 && index < static_cast<std::int64_t>(tokens_.size())) {
      tokens_[static_cast<std::size_t>(index)] = token.token;
    }
  }
  const std::size_t before = ready_;
  while (!ended_ && ready_ < tokens_.size() && tokens_[ready_] >= 0) {
    ended_ = std::ranges::find(settings_.end_tokens, tokens_[ready_]) != settings_.end_tokens.end();
    if (!ended_) ++ready_;
  }
  if (ready_ == before) return "";
  std::string text = settings_.detokenize(std::span(tokens_).first(ready_));
  // The last character may be half there: it is printed when its other half is.
  while (text.ends_with(kReplacement)) text.resize(text.size() - kReplacement.size());
  // So is what may turn out to be the beginning of a stop string.
  std::size_t held = 0;
  for (const std::string& stop : settings_.stop) {
    const std::size_t found = text.find(stop);
    if (found != std::string::npos) text.resize(found);
    for (std::size_t length = std::min(stop.size() - 1, text.size()); length > held; --length) {
      if (text.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  text.resize(text.size() - std::min(held, text.size()));
  if (text.size() <= printed_.size()) return "";
  std::string added = text.substr(printed_.size());
  printed_ = std::move(text);
  return added;
}

std::string AnswerStream::finish(std::string_view text) {
  if (text.size() <= printed_.size()) return "";
  std::string added(text.substr(printed_.size()));
  printed_ = text;
  return added;
}

}  // namespace fdllm
