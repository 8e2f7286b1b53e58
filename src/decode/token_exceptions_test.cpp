#include "decode/token_exceptions.h"

#include <gtest/gtest.h>

namespace fdllm {
namespace {

using Exceptions = std::vector<TokenException>;

DecodeTraits traits() {
  return {.mask_token = 50, .end_tokens = {40, 30}, .unused_tokens = {7, 60, 61}};
}

TEST(TokenExceptions, MaskAndIdsWithoutATokenAreNeverPicked) {
  EXPECT_EQ(token_exceptions({}, traits()), (Exceptions{{7, TokenRule::kNeverPicked},
                                                        {50, TokenRule::kNeverPicked},
                                                        {60, TokenRule::kNeverPicked},
                                                        {61, TokenRule::kNeverPicked}}));
}

TEST(TokenExceptions, EndTokensAsTheOptionsSay) {
  DecodeTraits plain = traits();
  plain.unused_tokens.clear();
  GenerateOptions options;
  options.ignore_eos = true;
  EXPECT_EQ(token_exceptions(options, plain), (Exceptions{{30, TokenRule::kRemoved},
                                                          {40, TokenRule::kRemoved},
                                                          {50, TokenRule::kNeverPicked}}));
  options = {};
  options.logits_eos_inf = true;
  EXPECT_EQ(token_exceptions(options, plain),
            (Exceptions{{40, TokenRule::kRemoved}, {50, TokenRule::kNeverPicked}}));
  options.confidence_eos_eot_inf = true;
  EXPECT_EQ(token_exceptions(options, plain), (Exceptions{{30, TokenRule::kUnsure},
                                                          {40, TokenRule::kRemoved},
                                                          {50, TokenRule::kNeverPicked}}));
}

TEST(TokenExceptions, AModelWithoutEndTokensHasNoneToLeaveOut) {
  DecodeTraits plain = traits();
  plain.end_tokens.clear();
  GenerateOptions options;
  options.ignore_eos = options.logits_eos_inf = options.confidence_eos_eot_inf = true;
  EXPECT_EQ(token_exceptions(options, plain), token_exceptions({}, plain));
}

}  // namespace
}  // namespace fdllm
