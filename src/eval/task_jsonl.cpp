// Questions with a reference answer, of any kind: {question, answer, solution?, id?}. Other fields
// are ignored, so that reasoning-gym's items can be used as they are.
#include "base/check.h"
#include "eval/answers.h"
#include "eval/data.h"
#include "eval/shots.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

Extraction extract(const Item& item, std::string_view text) {
  Extraction result;
  result.extracted = given_answer(text, canonical_number(item.expected).has_value());
  result.correct = same_answer(result.extracted, item.expected);
  return result;
}

}  // namespace

Task load_jsonl(const TaskOptions& options) {
  Task task;
  task.name = "jsonl";
  task.stop = {"Question:"};
  task.text_prefix = "Question: ";
  task.text_suffix = "\nAnswer:";
  task.chat_shots = ShotStyle::kTurns;
  task.extract = extract;
  const DataFile file = read_data(options.data);
  task.data_hash = file.hash;
  for (const DataLine& line : file.lines) {
    Item item;
    item.id = line.has("id") ? line.value("id") : std::to_string(task.items.size());
    item.question = line.text("question");
    item.expected = reference_answer(line.value("answer"));
    if (item.expected.empty()) {
      fail(ErrorCode::kInvalidArgument, "{}: 'answer': expected an answer, found none",
           line.where());
    }
    task.items.push_back(std::move(item));
  }
  add_shots_of_file(task, options, shot_count(options, 0), [](const DataLine& line) {
    return Shot{line.text("question"),
                line.has("solution") ? line.text("solution") : line.value("answer")};
  });
  return task;
}

}  // namespace fdllm::eval
