#include "text/regex.h"

#include <array>
#include <optional>

#include "base/check.h"
#include "base/utf8.h"
#include "text/regex_rewrite.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace fdllm {
namespace {

constexpr std::size_t kMaxPatternBytes = 32768;
/// Backtracking steps that every start position may use.
constexpr std::uint32_t kStepsPerStart = 4000;
/// Steps a whole text may use beyond that, plus kStepsPerByte for each of its bytes.
constexpr std::uint64_t kBudget = 20'000'000;
constexpr std::uint64_t kStepsPerByte = 64;
constexpr std::uint32_t kHeapLimitKiB = 65536;

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

/// The end of a "{n,m}" at `offset`, or nullopt where there is none.
std::optional<std::size_t> end_of_interval(std::string_view pattern, std::size_t offset) {
  const std::size_t close = pattern.find_first_not_of("0123456789,", offset + 1);
  if (close == std::string_view::npos || close == offset + 1 || pattern[close] != '}') {
    return std::nullopt;
  }
  return close + 1;
}

/// The first construct that Ruby's syntax and PCRE2's read differently, or empty.
std::string_view dialect_conflict(std::string_view pattern) {
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const auto starts = [&](std::string_view text) { return pattern.substr(i).starts_with(text); };
    if (pattern[i] == '\\') {
      if (++i == pattern.size()) break;
      if (std::string_view("hHKCGQEuNRXOyYZz").find(pattern[i]) != std::string_view::npos) {
        return pattern.substr(i - 1, 2);
      }
    } else if (in_class) {
      if (starts("[:")) {
        const std::size_t close = pattern.find(":]", i + 2);
        if (close == std::string_view::npos) return "[:";
        i = close + 1;
      } else if (pattern[i] == '[') {
        return "a class inside a class";
      } else if (starts("&&")) {
        return "&&";
      } else if (pattern[i] == ']') {
        in_class = false;
      }
    } else if (pattern[i] == '[') {
      in_class = true;
      if (starts("[^")) ++i;
      // Directly after the opening both take ']' as itself, with a warning in Ruby's.
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') ++i;
    } else if (starts("(*")) {
      return "(*";
    } else if (starts("(?") && i + 2 < pattern.size()) {
      if (std::string_view("C&R|+0123456789P(").find(pattern[i + 2]) != std::string_view::npos) {
        return pattern.substr(i, 3);
      }
      // Inline options: 'm' and 's' mean different things, and "(?i)" without a colon reaches over
      // alternatives differently unless it opens the pattern.
      const std::size_t end = pattern.find_first_not_of("imsx-", i + 2);
      if (end != std::string_view::npos && end > i + 2) {
        const std::string_view options = pattern.substr(i + 2, end - i - 2);
        if (options.find_first_of("msx") != std::string_view::npos) return pattern.substr(i, 3);
        if (pattern[end] == ')' && i != 0) return pattern.substr(i, end + 1 - i);
      }
    } else if (pattern[i] == '{') {
      const auto end = end_of_interval(pattern, i);
      if (end && *end < pattern.size() && pattern[*end] == '+') return "{n,m}+";
      if (starts("{,")) return "{,n}";
    }
  }
  return {};
}

/// PCRE2 alone counts U+180E as a space. For matching it is replaced by U+200B, which has the same
/// category and length, and which both take for no space.
std::optional<std::string> without_mongolian_separator(std::string_view text) {
  constexpr std::string_view kSeparator = "\xE1\xA0\x8E";
  constexpr std::string_view kZeroWidthSpace = "\xE2\x80\x8B";
  std::size_t found = text.find(kSeparator);
  if (found == std::string_view::npos) return std::nullopt;
  std::string copy(text);
  for (; found != std::string::npos; found = copy.find(kSeparator, found)) {
    copy.replace(found, kSeparator.size(), kZeroWidthSpace);
  }
  return copy;
}

}  // namespace

struct Regex::Impl {
  Code code;
  std::string where;
};

Regex::Regex(std::string_view pattern, std::string where) : impl_(std::make_unique<Impl>()) {
  impl_->where = std::move(where);
  if (pattern.size() > kMaxPatternBytes) {
    fail(ErrorCode::kUnsupported, "{}: the pattern has {} bytes, at most {} are supported",
         impl_->where, pattern.size(), kMaxPatternBytes);
  }
  if (const std::string_view conflict = dialect_conflict(pattern); !conflict.empty()) {
    fail(ErrorCode::kUnsupported, "{}: '{}' in the pattern is not supported", impl_->where,
         conflict);
  }
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  const std::string linear = rewrite_for_linear_time(pattern);
  impl_->code.reset(pcre2_compile(units(linear), linear.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                  &error, &offset, context.get()));
  if (!impl_->code) {
    fail(ErrorCode::kUnsupported, "{}: the pattern does not compile at byte {}: {}", impl_->where,
         offset, pcre2_message(error));
  }
  // Without a JIT (some systems forbid writable code) the interpreter runs: slower, same matches.
  pcre2_jit_compile(impl_->code.get(), PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

namespace {

/// The searches in one text, which share a budget.
class Search {
 public:
  Search(const pcre2_code* code, std::string_view text, const std::string& where)
      : code_(code),
        text_(text),
        where_(where),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)),
        budget_(kBudget + kStepsPerByte * text.size()) {
    if (!context_ || !data_) throw std::bad_alloc();
    pcre2_set_heap_limit(context_.get(), kHeapLimitKiB);
  }

  std::optional<TextSpan> find(std::size_t offset) {
    const int result = match(offset, 0, kStepsPerStart);
    if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT) {
      return find_with_budget(offset);
    }
    return span_of(result);
  }

 private:
  int match(std::size_t offset, std::uint32_t options, std::uint32_t limit) {
    pcre2_set_match_limit(context_.get(), limit);
    return pcre2_match(code_, units(text_), text_.size(), offset, options | PCRE2_NO_UTF_CHECK,
                       data_.get(), context_.get());
  }

  std::optional<TextSpan> span_of(int result) const {
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (result < 0) {
      fail(ErrorCode::kUnsupported, "{}: matching the pattern failed: {}", where_,
           pcre2_message(result));
    }
    const std::size_t* ends = pcre2_get_ovector_pointer(data_.get());
    return TextSpan{ends[0], ends[1]};
  }

  /// One start position at a time, since PCRE2's limit counts anew at each: so that a raised limit
  /// is paid for once, not for every later start of the same search.
  std::optional<TextSpan> find_with_budget(std::size_t offset) {
    for (;;) {
      std::uint32_t limit = kStepsPerStart;
      int result = match(offset, PCRE2_ANCHORED, limit);
      while (result == PCRE2_ERROR_MATCHLIMIT) {
        if (budget_ < limit) {
          fail(ErrorCode::kUnsupported, "{}: the pattern takes too many steps on this text",
               where_);
        }
        budget_ -= limit;
        limit *= 8;
        if (limit > budget_) limit = static_cast<std::uint32_t>(budget_) + 1;
        result = match(offset, PCRE2_ANCHORED, limit);
      }
      if (result != PCRE2_ERROR_NOMATCH) return span_of(result);
      if (offset == text_.size()) return std::nullopt;
      offset += utf8_length(text_[offset]);
    }
  }

  const pcre2_code* code_;
  std::string_view text_;
  const std::string& where_;
  MatchContext context_;
  MatchData data_;
  std::uint64_t budget_;
};

}  // namespace

std::vector<TextSpan> Regex::find_all(std::string_view text) const {
  const std::optional<std::string> replaced = without_mongolian_separator(text);
  const std::string_view subject = replaced ? std::string_view(*replaced) : text;
  Search search(impl_->code.get(), subject, impl_->where);
  std::vector<TextSpan> matches;
  std::size_t offset = 0;
  std::size_t last_end = std::string_view::npos;
  while (offset <= subject.size()) {
    const std::optional<TextSpan> match = search.find(offset);
    if (!match) break;
    if (match->begin == match->end && match->end == last_end) {
      offset += offset < subject.size() ? utf8_length(subject[offset]) : 1;
      continue;
    }
    matches.push_back(*match);
    offset = last_end = match->end;
  }
  return matches;
}

std::string escape_regex(std::string_view literal) {
  std::string pattern;
  for (const char character : literal) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~").find(character) != std::string_view::npos) {
      pattern.push_back('\\');
    }
    pattern.push_back(character);
  }
  return pattern;
}

}  // namespace fdllm
