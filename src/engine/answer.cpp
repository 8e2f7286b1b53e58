#include "engine/answer.h"

#include "base/utf8.h"

namespace fdllm {
namespace {

/// The answer's tokens up to the first mask.
std::span<const std::int32_t> contiguous_answer(const Canvas& canvas) {
  std::int32_t end = canvas.prompt_length();
  while (end < canvas.answer_end() && !canvas.masked(end)) ++end;
  return canvas.tokens().subspan(canvas.prompt_length(), end - canvas.prompt_length());
}

}  // namespace

void read_answer(const Canvas& canvas, std::span<const std::int32_t> end_tokens,
                 std::span<const std::string> stop, const TokenBytes& bytes_of,
                 GenerateResult& result) {
  const auto output = canvas.tokens().subspan(canvas.prompt_length(), canvas.gen_length());
  result.output_ids.assign(output.begin(), output.end());
  const std::span<const std::int32_t> ids = contiguous_answer(canvas);
  const AnswerCut cut = cut_answer(ids, end_tokens, stop, bytes_of);
  const auto kept = ids.first(cut.tokens);
  result.ids.assign(kept.begin(), kept.end());
  result.text = cut.text;
  result.finish_reason = cut.stopped ? FinishReason::kStop : FinishReason::kLength;
}

void read_infilled(const Canvas& canvas, const TokenBytes& bytes_of, GenerateResult& result) {
  result.output_ids.assign(canvas.tokens().begin(), canvas.tokens().end());
  result.ids = result.output_ids;
  std::string bytes;
  for (const std::int32_t id : result.ids) bytes += bytes_of(id);
  result.text = to_valid_utf8(bytes);
  result.finish_reason = FinishReason::kLength;
}

}  // namespace fdllm
