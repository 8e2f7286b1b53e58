#include "engine/answer.h"

#include <algorithm>

namespace fdllm {
namespace {

/// The answer's tokens up to the first mask.
std::span<const std::int32_t> contiguous_answer(const Canvas& canvas) {
  std::int32_t end = canvas.prompt_length();
  while (end < canvas.length() && !canvas.masked(end)) ++end;
  return canvas.tokens().subspan(canvas.prompt_length(), end - canvas.prompt_length());
}

/// Where the first stop string starts, or npos.
std::size_t find_stop(const std::string& text, std::span<const std::string> stop) {
  std::size_t first = std::string::npos;
  for (const std::string& candidate : stop) first = std::min(first, text.find(candidate));
  return first;
}

}  // namespace

std::string answer_bytes(std::span<const std::int32_t> ids, const Tokenizer& tokenizer,
                         bool skip_special) {
  std::vector<std::int32_t> known;
  known.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (id >= 0 && id < tokenizer.vocab_size()) known.push_back(id);
  }
  return tokenizer.decode_bytes(known, skip_special);
}

bool has_stop_string(const Canvas& canvas, std::span<const std::string> stop,
                     const Tokenizer& tokenizer) {
  if (stop.empty()) return false;
  const std::string text = answer_bytes(contiguous_answer(canvas), tokenizer);
  return find_stop(text, stop) != std::string::npos;
}

void read_answer(const Canvas& canvas, std::span<const std::int32_t> end_tokens,
                 std::span<const std::string> stop, const Tokenizer& tokenizer,
                 GenerateResult& result) {
  const auto output = canvas.tokens().subspan(canvas.prompt_length());
  result.output_ids.assign(output.begin(), output.end());
  std::span<const std::int32_t> ids = contiguous_answer(canvas);
  const auto end = std::find_first_of(ids.begin(), ids.end(), end_tokens.begin(), end_tokens.end());
  result.finish_reason = end == ids.end() ? FinishReason::kLength : FinishReason::kStop;
  ids = ids.first(end - ids.begin());

  std::string text = answer_bytes(ids, tokenizer);
  const std::size_t cut = find_stop(text, stop);
  if (cut != std::string::npos) {
    text.resize(cut);
    result.finish_reason = FinishReason::kStop;
    std::size_t count = 0;
    while (count < ids.size() && answer_bytes(ids.first(count + 1), tokenizer).size() <= cut) {
      ++count;
    }
    ids = ids.first(count);
  }
  result.ids.assign(ids.begin(), ids.end());
  result.text = to_valid_utf8(text);
}

void read_infilled(const Canvas& canvas, const Tokenizer& tokenizer, GenerateResult& result) {
  result.output_ids.assign(canvas.tokens().begin(), canvas.tokens().end());
  result.ids = result.output_ids;
  result.text = to_valid_utf8(answer_bytes(result.ids, tokenizer));
  result.finish_reason = FinishReason::kLength;
}

}  // namespace fdllm
