#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fastdllm/error.h"

#include "server/api_error.h"
#include "server/api_types.h"

namespace {

using namespace fdllm::server;

/// Any body is either parsed or refused with a 400 that says why.
template <typename Request>
bool parses(Request (*parse)(std::string_view), std::string_view body) {
  try {
    parse(body);
    return true;
  } catch (const ApiError& error) {
    if (error.status != 400 || std::string_view(error.what()).empty()) std::abort();
    // However long a client's keys and values are.
    if (error_json(error).size() > 2000) std::abort();
    if (error_json(error).find("\"error\"") == std::string::npos) std::abort();
    return false;
  }
}

/// Writing an infill's parts as a text and reading them again changes nothing.
void check_holes(std::string_view text) {
  std::string again;
  try {
    for (const fdllm::InfillPart& part : fdllm::parse_hole_text(text, "text")) {
      const std::string length = part.least == part.most
                                     ? std::to_string(part.least)
                                     : std::to_string(part.least) + "-" + std::to_string(part.most);
      again += part.is_hole() ? "<|hole:" + length + "|>" : part.text;
    }
  } catch (const fdllm::Error&) {
    return;
  }
  // A length may have leading zeros; otherwise the text is the same.
  if (again.size() > text.size()) std::abort();
  if (again.size() == text.size() && again != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  parses(parse_chat_request, body);
  parses(parse_completion_request, body);
  parses(parse_infill_request, body);
  parses(parse_editor_request, body);
  parses(parse_tokenize_request, body);
  parses(parse_detokenize_request, body);
  check_holes(body);
  return 0;
}
