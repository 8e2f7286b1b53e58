#include "cli/options/api_key.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fastdllm/error.h"

namespace fdllm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const ApiKeySources& sources) {
  try {
    return "taken: " + read_api_key(sources);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
}

TEST(ApiKey, ComesFromOnePlace) {
  EXPECT_EQ(read_api_key({}), "");
  EXPECT_EQ(read_api_key({"a", "", "b"}), "a");
  EXPECT_EQ(read_api_key({{}, "", "k%41y~!"}), "k%41y~!");
  EXPECT_THAT(refusal({"a", "file", {}}), HasSubstr("only one"));
}

TEST(ApiKey, IsOneThatARequestCanCarry) {
  EXPECT_THAT(refusal({"", "", {}}), HasSubstr("--api-key: the API key is empty"));
  EXPECT_THAT(refusal({{}, "", ""}), HasSubstr("FDLLM_API_KEY: the API key is empty"));
  EXPECT_THAT(refusal({"secret\n", "", {}}), HasSubstr("character 7 of the API key is a line end"));
  EXPECT_THAT(refusal({"sec ret", "", {}}), HasSubstr("a blank"));
  EXPECT_THAT(refusal({"sec\tret", "", {}}), HasSubstr("a blank"));
  EXPECT_THAT(refusal({"sec\x01ret", "", {}}), HasSubstr("a control character"));
  EXPECT_THAT(refusal({"sec\x7fret", "", {}}), HasSubstr("a control character"));
  EXPECT_THAT(refusal({"s\xc3\xa9", "", {}}), HasSubstr("beyond ASCII"));
  EXPECT_THAT(refusal({std::string(5000, 'a'), "", {}}), HasSubstr("at most 4096"));
  EXPECT_THAT(refusal({"secret\n", "", {}}), Not(HasSubstr("secret")));
}

TEST(ApiKey, IsTheLineOfAFile) {
  const std::string path = ::testing::TempDir() + "fast_dllm_key";
  const auto with = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return ApiKeySources{{}, path, "other"};
  };
  for (const char* text : {"key", "key\n", "key\r\n"}) EXPECT_EQ(read_api_key(with(text)), "key");
  EXPECT_THAT(refusal(with("")), HasSubstr("--api-key-file: the API key is empty"));
  EXPECT_THAT(refusal(with("\n")), HasSubstr("is empty"));
  EXPECT_THAT(refusal(with("key\n\n")), HasSubstr("a line end"));
  EXPECT_THAT(refusal(with("key\nother\n")), HasSubstr("a line end"));
  EXPECT_THAT(refusal(with(std::string(100000, 'a'))), HasSubstr("at most 4096"));
  std::filesystem::remove(path);
  for (const std::string& missing : {path, std::string(::testing::TempDir())}) {
    try {
      read_api_key({{}, missing, {}});
      FAIL() << missing;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    }
  }
}

}  // namespace
}  // namespace fdllm::cli
