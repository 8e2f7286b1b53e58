#include "cli/options/typed_options.h"

#include <gtest/gtest.h>

namespace fdllm::cli {
namespace {

TEST(TypedOptions, AreSpelledAsOnTheCommandLine) {
  EXPECT_EQ(with_typed_options("'gen_length': expected a positive number, found 0"),
            "--gen-length: expected a positive number, found 0");
  EXPECT_EQ(with_typed_options("'threshold' contradicts 'factor'; give only one of them"),
            "--threshold contradicts --factor; give only one of them");
  EXPECT_EQ(
      with_typed_options("'cfg_scale' contradicts 'cache' dual: for cache none (block_length 4)"),
      "--cfg-scale contradicts --cache dual: for cache none (--block-length 4)");
  EXPECT_EQ(with_typed_options("'alg': expected one of origin, found 'x_y'"),
            "--alg: expected one of origin, found 'x_y'");
}

TEST(TypedOptions, OtherMessagesStay) {
  for (const char* message : {"", "'", "'gen_length", "the prompt has 3 tokens", "'prompt': no",
                              "file:3: 'gen_length': expected", "--gen-length: expected"}) {
    EXPECT_EQ(with_typed_options(message), message);
  }
}

}  // namespace
}  // namespace fdllm::cli
