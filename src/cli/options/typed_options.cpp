#include "cli/options/typed_options.h"

#include <algorithm>

#include "fastdllm/options.h"

namespace fdllm::cli {
namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || c == '_';
}

/// The option that a word is, as the engine spells it; without quotes only one of several parts,
/// since `steps` or `cache` may just be words.
const GenerateOption* option_of(std::string_view word, bool is_quoted) {
  const bool may_be = is_quoted || word.find('_') != std::string_view::npos;
  return may_be ? find_generate_option(word) : nullptr;
}

}  // namespace

std::string with_typed_options(std::string_view message) {
  const std::size_t close = message.find('\'', 1);
  if (!message.starts_with('\'') || close == std::string_view::npos ||
      find_generate_option(message.substr(1, close - 1)) == nullptr) {
    return std::string(message);
  }
  std::string typed;
  while (!message.empty()) {
    const auto end = std::find_if_not(message.begin(), message.end(), is_name);
    const auto size = static_cast<std::size_t>(end - message.begin());
    const std::string_view word = message.substr(0, size);
    const bool is_quoted = typed.ends_with('\'') && message.substr(size).starts_with('\'');
    const GenerateOption* option = option_of(word, is_quoted);
    message.remove_prefix(size);
    if (option != nullptr) {
      if (is_quoted) {
        typed.pop_back();
        message.remove_prefix(1);
      }
      typed += "--" + std::string(option->name);
    } else {
      typed += word;
    }
    if (message.empty()) break;
    typed += message.front();
    message.remove_prefix(1);
  }
  return typed;
}

}  // namespace fdllm::cli
