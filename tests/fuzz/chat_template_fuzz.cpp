// The input is a chat template and, after a byte 0xFF, the content of a message.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/error.h"

#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t separator = input.find('\xFF');
  const std::string source(input.substr(0, separator));
  const std::string content(separator == std::string_view::npos ? "Hi"
                                                                : input.substr(separator + 1));
  const std::vector<fdllm::TemplateMessage> messages = {
      {"system", "Be brief."}, {"user", content}, {"assistant", " Hello\n"}, {"user", "é"}};
  try {
    const fdllm::ChatTemplate chat_template(source, "<s>", "</s>");
    static_cast<void>(chat_template.apply(messages, true));
  } catch (const fdllm::Error&) {
    // Refusing is fine; crashing, hanging and other exceptions are not.
  }
  return 0;
}
