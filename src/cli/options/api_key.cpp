#include "cli/options/api_key.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/check.h"

namespace fdllm::cli {
namespace {

constexpr std::size_t kLongestKey = 4096;

std::string first_line_of(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kLongestKey + 3, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    fail(ErrorCode::kNotFound, "--api-key-file {}: cannot be read: {}", path,
         errno != 0 ? std::strerror(errno) : "no file");
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

void check_key(std::string_view key, std::string_view source) {
  if (key.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "{}: the API key is empty, so that everybody could ask; give a key, or leave the option "
         "and FDLLM_API_KEY out to serve without one",
         source);
  }
  if (key.size() > kLongestKey) {
    fail(ErrorCode::kInvalidArgument, "{}: expected an API key of at most {} characters", source,
         kLongestKey);
  }
  const auto bad = std::ranges::find_if(key, [](char c) { return c <= ' ' || c > '~'; });
  if (bad == key.end()) return;
  const auto code = static_cast<unsigned char>(*bad);
  const char* what = *bad == '\n' || *bad == '\r'  ? "a line end"
                     : *bad == ' ' || *bad == '\t' ? "a blank"
                     : code > 0x7f                 ? "a character beyond ASCII"
                                                   : "a control character";
  fail(ErrorCode::kInvalidArgument,
       "{}: character {} of the API key is {}, with which no request could carry it; expected "
       "printable ASCII without blanks",
       source, bad - key.begin() + 1, what);
}

}  // namespace

std::string read_api_key(const ApiKeySources& sources) {
  if (sources.given && !sources.file.empty()) {
    fail(ErrorCode::kInvalidArgument, "--api-key and --api-key-file: give only one of them");
  }
  std::string key;
  std::string_view source;
  if (sources.given) {
    key = *sources.given;
    source = "--api-key";
  } else if (!sources.file.empty()) {
    key = first_line_of(sources.file);
    source = "--api-key-file";
  } else if (sources.environment) {
    key = *sources.environment;
    source = "FDLLM_API_KEY";
  } else {
    return "";
  }
  check_key(key, source);
  return key;
}

}  // namespace fdllm::cli
