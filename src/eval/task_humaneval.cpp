// HumanEval (Chen et al. 2021) as lm-eval 0.4's task `humaneval` prompts it. Answers are cut out of
// their fence and reduced to what the asked function needs, as Fast-dLLM's evaluation does.
#include "base/check.h"
#include "eval/answers.h"
#include "eval/data.h"
#include "eval/shots.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

Extraction extract(const Item& item, std::string_view text, bool /*chat*/) {
  Extraction result;
  result.extracted = item.code_prefix + fenced_code(text);
  result.program = Program{result.extracted, item.tests, item.entry_point};
  return result;
}

}  // namespace

Task load_humaneval(const TaskOptions& options) {
  Task task;
  task.name = "humaneval";
  // An instructed model writes whole programs with text around them, which these would cut short.
  task.stop = {"\nclass", "\ndef", "\n#", "\nif", "\nprint"};
  task.extract = extract;
  const DataFile file = read_data(options.data);
  task.data_hash = file.hash;
  for (const DataLine& line : file.lines) {
    Item item;
    item.id = line.text("task_id");
    item.question = item.code_prefix = line.text("prompt");
    item.entry_point = line.text("entry_point");
    item.tests = line.text("test") + "\ncheck(" + item.entry_point + ")";
    item.expected = item.tests;
    task.items.push_back(std::move(item));
  }
  add_fixed_shots(task, options, shot_count(options, 0), {});
  return task;
}

}  // namespace fdllm::eval
