// The input is a tokenizer.json, a byte 0xFF (which no JSON text contains), and a text. The text is
// also encoded with a fixed tokenizer, whose round trip must be exact.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "fastdllm/error.h"

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/tokenizer_to_gguf.h"
#include "text/utf8_stream.h"

namespace {

/// A vocabulary is filled up to its largest id, which a few bytes can set to millions.
constexpr std::int32_t kMostConverted = 2000;

std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::unique_ptr<fdllm::Tokenizer> make_fixed_tokenizer() {
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    vocab += json_text(fdllm::spell_bytes({&c, 1})) + ":" + std::to_string(byte) + ",";
  }
  vocab += R"("aa":256,"ab":257,"aaaa":258,"aab":259)";
  return fdllm::parse_tokenizer_json(
      R"({"added_tokens":[{"id":300,"content":"<|a|>","special":true}],"pre_tokenizer":
         {"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"decoder":
         {"type":"ByteLevel"},"model":{"type":"BPE","merges":["a a","a b","aa aa","a ab"],"vocab":{)" +
          vocab + "}}}",
      "fixed");
}

void exercise(const fdllm::Tokenizer& tokenizer, std::string_view text, bool exact) {
  const auto ids = tokenizer.encode(text);
  fdllm::Utf8Stream stream;
  std::string streamed;
  for (const std::int32_t id : ids)
    streamed += stream.push(tokenizer.decode_bytes({&id, 1}, false));
  streamed += stream.finish();
  const std::string bytes = tokenizer.decode_bytes(ids, false);
  if (streamed != fdllm::to_valid_utf8(bytes)) std::abort();
  if (exact && bytes != fdllm::to_valid_utf8(text)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::unique_ptr<fdllm::Tokenizer> fixed = make_fixed_tokenizer();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t separator = input.find('\xFF');
  const std::string_view json = input.substr(0, separator);
  const std::string_view text =
      separator == std::string_view::npos ? json : input.substr(separator + 1);
  exercise(*fixed, text, true);
  try {
    const auto document = fdllm::parse_tokenizer_document(json, "fuzz");
    const auto tokenizer = fdllm::make_tokenizer(document);
    exercise(*tokenizer, text, false);
    if (tokenizer->vocab_size() <= kMostConverted) {
      const auto gguf = fdllm::convert_vocabulary(document, tokenizer->vocab_size());
      exercise(*fdllm::make_gguf_tokenizer(gguf.vocabulary, "fuzz"), text, false);
    }
  } catch (const fdllm::Error&) {
    // Refusing is fine; crashing, hanging and other exceptions are not.
  }
  return 0;
}
