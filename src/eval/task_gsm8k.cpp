// GSM8K (Cobbe et al. 2021) as lm-eval 0.4's task `gsm8k` words and scores it. Its two filters,
// flexible-extract and strict-match, are the two readings of an answer.
#include "eval/answers.h"
#include "eval/data.h"
#include "eval/shots.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

constexpr std::int32_t kShots = 5;

std::string worded(const DataLine& line) {
  return "Question: " + line.text("question") + "\nAnswer:";
}

Extraction extract(const Item& item, std::string_view text) {
  Extraction result;
  result.extracted = flexible_number(text);
  result.correct = same_gsm8k_answer(result.extracted, item.expected);
  result.correct_strict = same_gsm8k_answer(strict_number(text), item.expected);
  return result;
}

}  // namespace

Task load_gsm8k(const TaskOptions& options) {
  Task task;
  task.name = "gsm8k";
  task.stop = task.chat_stop = {"Question:", "</s>", "<|im_end|>"};
  task.extract = extract;
  const DataFile file = read_data(options.data);
  task.data_hash = file.hash;
  for (const DataLine& line : file.lines) {
    Item item;
    item.id = std::to_string(task.items.size());
    item.question = worded(line);
    item.expected = line.text("answer");
    task.items.push_back(std::move(item));
  }
  add_shots_of_file(task, options, shot_count(options, kShots), [](const DataLine& line) {
    return Shot{worded(line), line.text("answer")};
  });
  return task;
}

}  // namespace fdllm::eval
