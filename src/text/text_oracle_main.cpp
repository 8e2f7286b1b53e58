// Test-only: answers tools/text_oracle.py, which compares this library with independent
// implementations. Reads a JSON request a line on stdin, writes a JSON answer a line on stdout.
// Bytes travel as hexadecimal digits, since they need not be valid UTF-8.
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/tokenizer_gguf.h"
#include "text/utf8_stream.h"

namespace {

using Json = nlohmann::json;

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    digits += kDigits[byte >> 4];
    digits += kDigits[byte & 15];
  }
  return digits;
}

class Driver {
 public:
  Json answer(const Json& request) {
    const std::string op = request.at("op");
    if (op == "load_tokenizer") {
      const auto start = std::chrono::steady_clock::now();
      const std::filesystem::path path = request.at("path").get<std::string>();
      tokenizer_ = std::filesystem::is_directory(path) ? fdllm::read_folder_tokenizer(path)
                                                       : fdllm::read_tokenizer_json(path);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      return {{"vocab_size", tokenizer_->vocab_size()}, {"seconds", seconds.count()}};
    }
    if (op == "load_gguf") {
      fdllm::GgufVocabulary vocabulary;
      vocabulary.model = "gpt2";
      vocabulary.pre_tokenizer = request.at("pre");
      request.at("tokens").get_to(vocabulary.tokens);
      request.at("types").get_to(vocabulary.types);
      request.at("merges").get_to(vocabulary.merges);
      tokenizer_ = fdllm::make_gguf_tokenizer(vocabulary, "gguf");
      return {{"vocab_size", tokenizer_->vocab_size()}};
    }
    if ((op == "encode" || op == "decode" || op == "special") && tokenizer_ == nullptr) {
      throw std::runtime_error("no tokenizer is loaded");
    }
    if (op == "encode") {
      return {{"ids", tokenizer_->encode(from_hex(request.at("bytes")))},
              {"before", tokenizer_->surrounding().before},
              {"after", tokenizer_->surrounding().after}};
    }
    if (op == "special") {
      std::vector<std::int32_t> ids;
      for (std::int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
        if (tokenizer_->is_special(id)) ids.push_back(id);
      }
      return {{"ids", ids}};
    }
    if (op == "decode") {
      const auto ids = request.at("ids").get<std::vector<std::int32_t>>();
      const bool skip = request.at("skip_special");
      fdllm::Utf8Stream stream;
      std::string streamed;
      for (const std::int32_t id : ids) {
        streamed += stream.push(tokenizer_->decode_bytes({&id, 1}, skip));
      }
      return {{"bytes", to_hex(tokenizer_->decode_bytes(ids, skip))},
              {"streamed", streamed + stream.finish()}};
    }
    if (op == "load_template") {
      fdllm::TemplateTokens tokens;
      for (const auto& [name, text] : request.at("tokens").items()) {
        tokens.emplace_back(name, text.get<std::string>());
      }
      template_.emplace("template", request.at("source").get<std::string>(), std::move(tokens));
      if (!template_->problem().empty()) return {{"error", template_->problem()}};
      return Json::object();
    }
    if (op == "render") {
      // As text, since the order of keys matters.
      return {{"text", template_.value().apply_to_json(request.at("variables").get<std::string>(),
                                                       request.at("now").get<std::time_t>())}};
    }
    throw std::runtime_error("unknown op " + op);
  }

 private:
  std::unique_ptr<fdllm::Tokenizer> tokenizer_;
  std::optional<fdllm::ChatTemplate> template_;
};

}  // namespace

int main() {
  Driver driver;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = driver.answer(Json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
}
