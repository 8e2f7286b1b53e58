#include "engine/answer_cut.h"

#include <algorithm>

#include "base/utf8.h"

namespace fdllm {

TokenBytes token_bytes_of(const Engine& engine) {
  return [&engine](std::int32_t id) {
    return engine.is_special(id) ? std::string() : engine.token_bytes(id);
  };
}

TokenBytes token_bytes_of(const Tokenizer* tokenizer) {
  return [tokenizer](std::int32_t id) {
    const bool is_known = tokenizer != nullptr && tokenizer->has(id);
    return is_known ? tokenizer->decode_bytes(std::span(&id, 1), true) : std::string();
  };
}

std::size_t find_stop(std::string_view text, std::span<const std::string> stop, std::size_t from) {
  std::size_t first = std::string_view::npos;
  for (const std::string& candidate : stop) first = std::min(first, text.find(candidate, from));
  return first;
}

AnswerCut cut_answer(std::span<const std::int32_t> ids, std::span<const std::int32_t> end_tokens,
                     std::span<const std::string> stop, const TokenBytes& bytes_of) {
  const auto end = std::find_first_of(ids.begin(), ids.end(), end_tokens.begin(), end_tokens.end());
  AnswerCut cut;
  cut.stopped = end != ids.end();
  ids = ids.first(static_cast<std::size_t>(end - ids.begin()));
  std::vector<std::size_t> ends;
  ends.reserve(ids.size());
  std::string bytes;
  for (const std::int32_t id : ids) {
    bytes += bytes_of(id);
    ends.push_back(bytes.size());
  }
  const std::size_t at = find_stop(bytes, stop);
  if (at != std::string::npos) {
    cut.stopped = true;
    cut.stop = *std::ranges::find_if(
        stop, [&](const std::string& text) { return bytes.compare(at, text.size(), text) == 0; });
    bytes.resize(at);
  }
  cut.text = to_valid_utf8(bytes);
  const auto whole = std::ranges::upper_bound(ends, bytes.size());
  cut.tokens = static_cast<std::size_t>(whole - ends.begin());
  return cut;
}

std::vector<std::size_t> character_offsets(std::span<const std::string> token_bytes) {
  std::string text;
  for (const std::string& bytes : token_bytes) text += bytes;
  std::vector<std::size_t> offsets;
  offsets.reserve(token_bytes.size());
  std::size_t token_begin = 0, unit_begin = 0, characters = 0;
  for (const std::string& bytes : token_bytes) {
    while (unit_begin < text.size()) {
      const std::size_t unit_end = unit_begin + read_utf8(text, unit_begin).size;
      if (unit_end > token_begin) break;
      unit_begin = unit_end;
      ++characters;
    }
    offsets.push_back(characters);
    token_begin += bytes.size();
  }
  return offsets;
}

}  // namespace fdllm
