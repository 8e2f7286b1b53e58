#include "server/http/head_scanner.h"

#include "server/http/protocol_words.h"

namespace fdllm::server {
namespace {

constexpr int kMostEmptyLines = 8;

}  // namespace

HeadScanner::Verdict HeadScanner::end_line() {
  if (!has_begun_) return ++empty_lines_ > kMostEmptyLines ? Verdict::kBad : Verdict::kMore;
  if (line_length_ == 0) return Verdict::kEnd;
  line_length_ = 0;
  is_first_line_ = false;
  return Verdict::kMore;
}

HeadScanner::Verdict HeadScanner::scan(std::string_view bytes, std::size_t& used) {
  for (used = 0; used < bytes.size();) {
    const char c = bytes[used++];
    if (after_cr_ != (c == '\n')) return Verdict::kBad;
    after_cr_ = c == '\r';
    if (after_cr_) continue;
    if (c == '\n') {
      const Verdict verdict = end_line();
      if (verdict != Verdict::kMore) return verdict;
      continue;
    }
    if (is_control(c)) return Verdict::kBad;
    const bool begins_line = line_length_++ == 0;
    if (!begins_line) continue;
    if (!is_first_line_ && (c == ' ' || c == '\t')) return Verdict::kBad;
    if (is_first_line_ && !is_token_character(c)) return Verdict::kBad;
    has_begun_ = true;
  }
  return Verdict::kMore;
}

}  // namespace fdllm::server
