#include "text/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include <utf8proc.h>

#include "base/utf8.h"
#include "text/split_patterns.h"

namespace fdllm {
namespace {

/// A part of a piece, alternately a match of the pattern and what lies between matches.
struct Section {
  TextSpan span;
  bool is_match;
};

std::vector<Section> sections_between(std::string_view text, const std::vector<TextSpan>& matches,
                                      bool invert) {
  std::vector<Section> sections;
  sections.reserve(2 * matches.size() + 1);
  std::size_t done = 0;
  for (const TextSpan& match : matches) {
    if (match.begin != done) sections.push_back({{done, match.begin}, invert});
    sections.push_back({match, !invert});
    done = match.end;
  }
  if (done != text.size()) sections.push_back({{done, text.size()}, invert});
  return sections;
}

/// Joins each section to the one before it where `joins(is_match, previous_is_match)`.
template <typename Joins>
std::vector<Section> join_sections(const std::vector<Section>& sections, Joins joins) {
  std::vector<Section> joined;
  bool previous_is_match = false;
  for (const Section& section : sections) {
    if (!joined.empty() && joins(section.is_match, previous_is_match)) {
      TextSpan& last = joined.back().span;
      last = {std::min(last.begin, section.span.begin), std::max(last.end, section.span.end)};
    } else {
      joined.push_back(section);
    }
    previous_is_match = section.is_match;
  }
  return joined;
}

std::vector<Section> apply_behavior(std::vector<Section> sections, SplitBehavior behavior) {
  const auto is_new_match = [](bool is_match, bool previous) { return is_match && !previous; };
  switch (behavior) {
    case SplitBehavior::kIsolated:
      break;
    case SplitBehavior::kRemoved:
      std::erase_if(sections, [](const Section& section) { return section.is_match; });
      break;
    case SplitBehavior::kContiguous:
      return join_sections(sections,
                           [](bool is_match, bool previous) { return is_match == previous; });
    case SplitBehavior::kMergedWithPrevious:
      return join_sections(sections, is_new_match);
    case SplitBehavior::kMergedWithNext:
      std::reverse(sections.begin(), sections.end());
      sections = join_sections(sections, is_new_match);
      std::reverse(sections.begin(), sections.end());
      break;
  }
  return sections;
}

void append_pieces(std::string_view text, const std::vector<Section>& sections,
                   std::vector<std::string_view>& pieces) {
  for (const Section& section : sections) {
    const TextSpan span = section.span;
    if (span.begin != span.end) pieces.push_back(text.substr(span.begin, span.end - span.begin));
  }
}

std::vector<TextSpan> find_digits(std::string_view text) {
  std::vector<TextSpan> digits;
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Unit unit = read_utf8(text, offset);
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(unit.value));
    if (category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
        category == UTF8PROC_CATEGORY_NO) {
      digits.push_back({offset, offset + unit.size});
    }
    offset += unit.size;
  }
  return digits;
}

}  // namespace

PreTokenizer::PreTokenizer(std::vector<PreTokenizerStep> steps, std::string where)
    : steps_(std::move(steps)), gpt2_(split_patterns::kGpt2, std::move(where)) {}

bool PreTokenizer::keeps_all() const {
  return std::none_of(steps_.begin(), steps_.end(), [](const PreTokenizerStep& step) {
    const auto* split_step = std::get_if<SplitStep>(&step);
    return split_step != nullptr && split_step->behavior == SplitBehavior::kRemoved;
  });
}

Pieces PreTokenizer::split(std::string_view text) const {
  Pieces pieces;
  if (!text.empty()) pieces.views.push_back(text);
  for (const PreTokenizerStep& step : steps_) {
    std::vector<std::string_view> next;
    for (std::string_view piece : pieces.views) {
      std::vector<TextSpan> matches;
      bool invert = false;
      SplitBehavior behavior = SplitBehavior::kIsolated;
      if (const auto* split_step = std::get_if<SplitStep>(&step)) {
        matches = split_step->pattern.find_all(piece);
        invert = split_step->invert;
        behavior = split_step->behavior;
      } else if (const auto* digits = std::get_if<DigitsStep>(&step)) {
        matches = find_digits(piece);
        behavior = digits->individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
      } else if (const auto* byte_level = std::get_if<ByteLevelStep>(&step)) {
        if (byte_level->add_prefix_space && !piece.starts_with(' ')) {
          pieces.owned.emplace_back(" ").append(piece);
          piece = pieces.owned.back();
        }
        if (byte_level->use_regex) matches = gpt2_.find_all(piece);
      }
      append_pieces(piece, apply_behavior(sections_between(piece, matches, invert), behavior),
                    next);
    }
    pieces.views = std::move(next);
  }
  return pieces;
}

}  // namespace fdllm
