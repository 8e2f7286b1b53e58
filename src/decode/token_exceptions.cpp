#include "decode/token_exceptions.h"

#include <cstdint>
#include <map>

namespace fdllm {

std::vector<TokenException> token_exceptions(const GenerateOptions& options,
                                             const DecodeTraits& traits) {
  std::map<std::int32_t, TokenRule> rules;
  if (options.confidence_eos_eot_inf) {
    for (const std::int32_t token : traits.end_tokens) rules[token] = TokenRule::kUnsure;
  }
  if (options.logits_eos_inf && !traits.end_tokens.empty()) {
    rules[traits.end_tokens.front()] = TokenRule::kRemoved;
  }
  if (options.ignore_eos) {
    for (const std::int32_t token : traits.end_tokens) rules[token] = TokenRule::kRemoved;
  }
  for (const std::int32_t token : traits.unused_tokens) {
    rules.try_emplace(token, TokenRule::kNeverPicked);
  }
  rules[traits.mask_token] = TokenRule::kNeverPicked;
  std::vector<TokenException> exceptions;
  exceptions.reserve(rules.size());
  for (const auto& [token, rule] : rules) {
    if (token >= 0) exceptions.push_back({token, rule});
  }
  return exceptions;
}

}  // namespace fdllm
