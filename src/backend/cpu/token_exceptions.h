#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "backend/score.h"

namespace fdllm::cpu {

using TokenExceptions = std::span<const TokenException>;

/// Those of the tokens [first, end).
inline TokenExceptions exceptions_in(TokenExceptions all, std::int64_t first, std::int64_t end) {
  if (all.empty() || all.back().token < first || all.front().token >= end) return {};
  const auto before = [](const TokenException& e, std::int64_t token) { return e.token < token; };
  const auto begin = std::lower_bound(all.begin(), all.end(), first, before);
  return {begin, std::lower_bound(begin, all.end(), end, before)};
}

inline TokenRule rule_of(TokenExceptions all, std::int64_t token) {
  const TokenExceptions found = exceptions_in(all, token, token + 1);
  return found.empty() ? TokenRule::kFree : found.front().rule;
}

inline bool is_pickable(TokenRule rule) {
  return rule == TokenRule::kFree || rule == TokenRule::kUnsure;
}

/// Takes the weight of the tokens with this rule, of which logits[0] is `first`; whether there are
/// any.
inline bool take_weight(TokenExceptions exceptions, TokenRule rule, std::int64_t first,
                        float* logits) {
  bool any = false;
  for (const TokenException& exception : exceptions) {
    if (exception.rule != rule) continue;
    logits[exception.token - first] = kWeightlessLogit;
    any = true;
  }
  return any;
}

/// Tells of tokens in ascending order whether they may be picked.
class PickableWalk {
 public:
  explicit PickableWalk(TokenExceptions exceptions) : rest_(exceptions) {}

  bool is_pickable(std::int64_t token) {
    while (!rest_.empty() && rest_.front().token < token) rest_ = rest_.subspan(1);
    return rest_.empty() || rest_.front().token != token || cpu::is_pickable(rest_.front().rule);
  }

 private:
  TokenExceptions rest_;
};

}  // namespace fdllm::cpu
