// The input is the files of a folder without tokenizer.json, and a text, with a byte 0xFF between
// (which neither JSON nor a vocabulary contains): vocab.json, merges.txt, tokenizer_config.json,
// added_tokens.json, special_tokens_map.json, text. An empty part is no file.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <unistd.h>

#include "fastdllm/error.h"

#include "text/tokenizer.h"
#include "text/tokenizer_folder.h"
#include "text/tokenizer_to_gguf.h"

namespace {

constexpr std::array kFiles = {"vocab.json", "merges.txt", "tokenizer_config.json",
                               "added_tokens.json", "special_tokens_map.json"};
/// A vocabulary is filled up to its largest id, which a few bytes can set to millions.
constexpr std::int32_t kMostConverted = 2000;

std::filesystem::path make_folder() {
  std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                 ("fdllm-fuzz-tokenizer-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::atexit([] {
    std::filesystem::remove_all(std::filesystem::temp_directory_path() /
                                ("fdllm-fuzz-tokenizer-" + std::to_string(::getpid())));
  });
  return folder;
}

std::string_view next_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\xFF'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

void exercise(const fdllm::TokenizerDocument& document, std::string_view text) {
  const auto tokenizer = fdllm::make_tokenizer(document);
  const auto ids = tokenizer->encode(text);
  tokenizer->decode_bytes(ids, true);
  // A limit that the text keeps changes nothing, one that it exceeds is always found.
  if (tokenizer->encode(text, ids.size()) != ids) std::abort();
  if (!ids.empty()) {
    try {
      tokenizer->encode(text, ids.size() - 1);
      std::abort();
    } catch (const fdllm::Error&) {
    }
  }
  const auto& around = tokenizer->surrounding();
  if (around.before.size() > 2 || around.after.size() > 2) std::abort();
  if (tokenizer->vocab_size() > kMostConverted) return;
  const auto conversion = fdllm::convert_vocabulary(document, tokenizer->vocab_size());
  fdllm::make_gguf_tokenizer(conversion.vocabulary, "fuzz")->encode(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path folder = make_folder();
  std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const char* name : kFiles) {
    const std::string_view part = next_part(input);
    std::filesystem::remove(folder / name);
    if (!part.empty()) std::ofstream(folder / name, std::ios::binary) << part;
  }
  try {
    exercise(fdllm::read_folder_document(folder), input);
  } catch (const fdllm::Error&) {
    // Refusing is fine; crashing, hanging and other exceptions are not.
  }
  return 0;
}
