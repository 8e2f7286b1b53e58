// consumer MODEL_DIR: answers one question through the installed library's public headers.
#include <exception>
#include <iostream>

#include "fastdllm/engine.h"

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: consumer MODEL_DIR\n";
    return 2;
  }
  fdllm::Engine engine = fdllm::Engine::load(argv[1]);
  const fdllm::ChatMessage message{
      "user",
      "Ana packs 3 boxes with 4 books in each box. There are 5 books left over. "
      "How many books are there in total?"};
  fdllm::GenerateRequest request;
  request.prompt_ids = engine.tokenize(engine.apply_chat_template({&message, 1}));
  request.options.gen_length = 64;
  std::int64_t events = 0;
  const auto results = engine.generate({&request, 1}, [&](const fdllm::StepEvent&) {
    ++events;
    return true;
  });
  const fdllm::GenerateResult& result = results.at(0);
  std::cout << result.text << '\n';
  const bool answered = result.finish_reason == fdllm::FinishReason::kStop ||
                        result.finish_reason == fdllm::FinishReason::kLength;
  if (!answered || result.text.find("####") == std::string::npos) {
    std::cerr << "no worked answer; " << (result.error ? result.error->message : "") << '\n';
    return 1;
  }
  if (events != result.refresh_forwards + result.window_forwards) {
    std::cerr << events << " step events\n";
    return 1;
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
