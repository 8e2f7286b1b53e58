#include "engine/answer.h"

#include "engine/answer_cut.h"

namespace fdllm {
namespace {

/// The answer's tokens up to the first mask.
std::span<const std::int32_t> contiguous_answer(const Canvas& canvas) {
  std::int32_t end = canvas.prompt_length();
  while (end < canvas.length() && !canvas.masked(end)) ++end;
  return canvas.tokens().subspan(canvas.prompt_length(), end - canvas.prompt_length());
}

}  // namespace

std::string answer_bytes(std::span<const std::int32_t> ids, const Tokenizer& tokenizer,
                         bool skip_special) {
  std::vector<std::int32_t> known;
  known.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (tokenizer.has(id)) known.push_back(id);
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
  const std::span<const std::int32_t> ids = contiguous_answer(canvas);
  const AnswerCut cut = cut_answer(ids, end_tokens, stop, [&](std::int32_t id) {
    return answer_bytes(std::span(&id, 1), tokenizer);
  });
  const auto kept = ids.first(cut.tokens);
  result.ids.assign(kept.begin(), kept.end());
  result.text = cut.text;
  result.finish_reason = cut.stopped ? FinishReason::kStop : FinishReason::kLength;
}

void read_infilled(const Canvas& canvas, const Tokenizer& tokenizer, GenerateResult& result) {
  result.output_ids.assign(canvas.tokens().begin(), canvas.tokens().end());
  result.ids = result.output_ids;
  result.text = to_valid_utf8(answer_bytes(result.ids, tokenizer));
  result.finish_reason = FinishReason::kLength;
}

}  // namespace fdllm
