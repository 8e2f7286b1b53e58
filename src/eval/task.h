#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm::eval {

/// A solved example that precedes the question, as the task's prompt format words it.
struct Shot {
  std::string question;
  std::string answer;
};

/// One question with what its answer is scored by.
struct Item {
  std::string id;        ///< unique within the task: the data's own task id, else its line from 0
  std::string question;  ///< as the task's prompt format words it ("Question: ...\nAnswer:")
  std::vector<Shot> shots;
  std::string expected;  ///< the reference answer that a scorer compares with
};

/// What a scorer reads out of an answer.
struct Extraction {
  std::string extracted;
  bool correct = false;
  /// By the stricter of a task's two readings, where it has two.
  std::optional<bool> correct_strict;
};

/// How shots become a prompt.
enum class ShotStyle : std::uint8_t {
  kText,   ///< one text: question, answer, blank line, ..., question
  kTurns,  ///< a user message and an assistant message each; needs a chat template
};

struct Task {
  std::string name;
  std::vector<Item> items;
  std::int32_t shots = 0;         ///< of each item
  std::vector<std::string> stop;  ///< stop strings of raw prompts
  std::vector<std::string> chat_stop;
  ShotStyle chat_shots = ShotStyle::kText;  ///< the style where a chat template is applied
  /// Around every question within one text, not around those of chat turns.
  std::string text_prefix, text_suffix;
  Extraction (*extract)(const Item& item, std::string_view text) = nullptr;
  std::uint64_t data_hash = 0;  ///< of the bytes of the data files
};

struct TaskOptions {
  std::string name;                    ///< one of tasks()
  std::filesystem::path data;          ///< JSON lines
  std::filesystem::path fewshot_data;  ///< JSON lines, of which the first are shots; empty: none
  std::optional<std::int32_t> shots;   ///< default: the task's
  std::optional<std::int64_t> limit;   ///< only the first so many items
};

/// A task that exists.
struct TaskDescriptor {
  std::string_view name;
  std::string_view help;
  std::int32_t shots;  ///< default
  Task (*load)(const TaskOptions& options);
};

std::span<const TaskDescriptor> tasks();

/// Reads a task's items and words their prompts. Throws kInvalidArgument (options, unknown fields
/// of the data), kNotFound and kCorruptFile (a line that is no JSON), naming file and line.
Task load_task(const TaskOptions& options);

/// The whole prompt as one text, worded as lm-eval does.
std::string prompt_text(const Task& task, const Item& item);
/// The prompt as a conversation that ends with a user message.
std::vector<ChatMessage> prompt_messages(const Task& task, const Item& item, ShotStyle style);

}  // namespace fdllm::eval
