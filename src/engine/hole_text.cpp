#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "fastdllm/infill.h"

#include "base/check.h"

namespace fdllm {
namespace {

constexpr std::string_view kBegin = "<|hole:";
constexpr std::string_view kEnd = "|>";

/// Takes a number from the front of `text`.
std::optional<std::int32_t> take_length(std::string_view& text) {
  std::int32_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc{} || length < 1 || length > kMaxHole) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return length;
}

/// Takes "8" or "2-6" from the front of `text`.
std::optional<InfillPart> take_hole(std::string_view& text) {
  const auto least = take_length(text);
  auto most = least;
  if (least && text.starts_with('-')) {
    text.remove_prefix(1);
    most = take_length(text);
  }
  if (!least || !most || *most < *least) return std::nullopt;
  return InfillPart{"", *least, *most};
}

}  // namespace

std::vector<InfillPart> parse_hole_text(std::string_view text, std::string_view where) {
  std::vector<InfillPart> parts;
  bool has_hole = false;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find(kBegin), text.size());
    if (begin > 0) parts.push_back({std::string(text.substr(0, begin))});
    text.remove_prefix(begin);
    if (text.empty()) break;
    text.remove_prefix(kBegin.size());
    auto hole = take_hole(text);
    if (!hole || !text.starts_with(kEnd)) {
      fail(ErrorCode::kInvalidArgument,
           "{}: expected a length from 1 to {}, or two as in 2-6, and '{}' after '{}'", where,
           kMaxHole, kEnd, kBegin);
    }
    text.remove_prefix(kEnd.size());
    parts.push_back(std::move(*hole));
    has_hole = true;
  }
  if (!has_hole) {
    fail(ErrorCode::kInvalidArgument,
         "{}: expected at least one hole, as in 'a <|hole:4|> b' or 'a <|hole:2-6|> b'", where);
  }
  return parts;
}

InfillPart parse_hole(std::string_view length, std::string_view where) {
  auto hole = take_hole(length);
  if (!hole || !length.empty()) {
    fail(ErrorCode::kInvalidArgument, "{}: expected a length from 1 to {}, or two as in 2-6", where,
         kMaxHole);
  }
  return std::move(*hole);
}

std::vector<std::vector<std::int32_t>> hole_lengths(const std::vector<InfillPart>& parts,
                                                    std::size_t limit, std::string_view where) {
  std::vector<std::vector<std::int32_t>> lists = {{}};
  for (const InfillPart& part : parts) {
    if (!part.is_hole()) continue;
    const auto choices = static_cast<std::size_t>(part.most - part.least) + 1;
    if (lists.size() * choices > limit) {
      fail(ErrorCode::kInvalidArgument,
           "{}: the bounds of the holes allow more than {} canvases, each of which would be "
           "decoded; give narrower ones",
           where, limit);
    }
    std::vector<std::vector<std::int32_t>> longer;
    for (std::int32_t length = part.least; length <= part.most; ++length) {
      for (const auto& list : lists) {
        longer.push_back(list);
        longer.back().push_back(length);
      }
    }
    lists = std::move(longer);
  }
  return lists;
}

}  // namespace fdllm
