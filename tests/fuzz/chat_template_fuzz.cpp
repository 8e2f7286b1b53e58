// The input is a chat template and, after a byte 0xFF, the content of a message.
#include <cstdint>
#include <ctime>
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
      {"system", "Be brief."},
      {"user", content, {{"name", content}}},
      {"assistant", " Hello\n", {{"reasoning_content", "é"}}},
      {"user", "é"}};
  const fdllm::ChatTemplate chat_template(
      "fuzz", source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}});
  // Tools and parts of messages come as JSON only.
  constexpr std::string_view kVariables =
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
          "tools": [{"function": {"name": "f", "parameters": {"b": [1, 2.5, null, true]}}}],
          "add_generation_prompt": true})";
  constexpr std::time_t kNow = 1718000645;
  try {
    static_cast<void>(chat_template.apply(messages, true, kNow));
  } catch (const fdllm::Error&) {
    // Refusing is fine; crashing, hanging and other exceptions are not.
  }
  try {
    static_cast<void>(chat_template.apply_to_json(kVariables, kNow));
  } catch (const fdllm::Error&) {
    // Refusing is fine; crashing, hanging and other exceptions are not.
  }
  return 0;
}
