#include "eval/task.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

constexpr TaskDescriptor kTasks[] = {
    {"gsm8k", "grade-school maths: {question, answer}", 5, load_gsm8k},
    {"jsonl", "any questions: {question, answer, solution?, id?}", 0, load_jsonl},
};

std::string within_text(const Task& task, const std::string& question) {
  return task.text_prefix + question + task.text_suffix;
}

}  // namespace

std::span<const TaskDescriptor> tasks() {
  return kTasks;
}

Task load_task(const TaskOptions& options) {
  const auto found = std::find_if(std::begin(kTasks), std::end(kTasks),
                                  [&](const auto& known) { return known.name == options.name; });
  if (found == std::end(kTasks)) {
    std::string names;
    for (const TaskDescriptor& known : kTasks) {
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    fail(ErrorCode::kInvalidArgument,
         "--task '{}': expected one of {}; lm-eval asks other tasks through fast-dllm serve "
         "(docs/eval.md)",
         options.name, names);
  }
  if (options.limit && *options.limit < 1) {
    fail(ErrorCode::kInvalidArgument, "--limit: expected 1 or more, found {}", *options.limit);
  }
  Task task = found->load(options);
  std::set<std::string_view> ids;
  for (const Item& item : task.items) {
    if (!ids.insert(item.id).second) {
      fail(ErrorCode::kInvalidArgument, "{}: two items have the id '{}'", options.data.string(),
           item.id);
    }
  }
  if (options.limit && std::ssize(task.items) > *options.limit) task.items.resize(*options.limit);
  return task;
}

std::string prompt_text(const Task& task, const Item& item) {
  std::string text;
  for (const Shot& shot : item.shots) {
    text += within_text(task, shot.question) + " " + shot.answer + "\n\n";
  }
  return text + within_text(task, item.question);
}

std::vector<ChatMessage> prompt_messages(const Task& task, const Item& item, ShotStyle style) {
  if (style == ShotStyle::kText) return {{"user", prompt_text(task, item)}};
  std::vector<ChatMessage> messages;
  for (const Shot& shot : item.shots) {
    messages.push_back({"user", shot.question});
    messages.push_back({"assistant", shot.answer});
  }
  messages.push_back({"user", item.question});
  return messages;
}

}  // namespace fdllm::eval
