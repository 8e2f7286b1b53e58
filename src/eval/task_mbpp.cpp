// MBPP (Austin et al. 2021) as lm-eval 0.4's task `mbpp` words and scores it: the first three tests
// of an item are shown and run. The three shots are the data set's tasks 2, 3 and 4.
#include "eval/answers.h"
#include "eval/data.h"
#include "eval/shots.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

constexpr std::int32_t kShots = 3;
constexpr std::size_t kTests = 3;
// Of the 974 tasks of the whole data set these are for testing.
constexpr std::int64_t kFirstTestTask = 11, kLastTestTask = 510;

std::string joined(const std::vector<std::string>& tests) {
  return tests[0] + "\n" + tests[1] + "\n" + tests[2];
}

std::string worded(const std::string& text, const std::vector<std::string>& tests) {
  return "You are an expert Python programmer, and here is your task: " + text +
         " Your code should pass these tests:\n\n" + joined(tests) + "\n[BEGIN]\n";
}

std::vector<Shot> shots() {
  return {
      {worded("Write a function to find the similar elements from the given two tuple lists.",
              {"assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)",
               "assert similar_elements((1, 2, 3, 4),(5, 4, 3, 7)) == (3, 4)",
               "assert similar_elements((11, 12, 14, 13),(17, 15, 14, 13)) == (13, 14)"}),
       "def similar_elements(test_tup1, test_tup2):\r\n"
       "  res = tuple(set(test_tup1) & set(test_tup2))\r\n"
       "  return (res) \n[DONE]"},
      {worded("Write a python function to identify non-prime numbers.",
              {"assert is_not_prime(2) == False", "assert is_not_prime(10) == True",
               "assert is_not_prime(35) == True"}),
       "import math\r\n"
       "def is_not_prime(n):\r\n"
       "    result = False\r\n"
       "    for i in range(2,int(math.sqrt(n)) + 1):\r\n"
       "        if n % i == 0:\r\n"
       "            result = True\r\n"
       "    return result\n[DONE]"},
      {worded("Write a function to find the largest integers from a given list of numbers using "
              "heap queue algorithm.",
              {"assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],3)==[85, 75, 65] ",
               "assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],2)==[85, 75] ",
               "assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],5)==[85, 75, 65, "
               "58, 35]"}),
       "import heapq as hq\r\n"
       "def heap_queue_largest(nums,n):\r\n"
       "  largest_nums = hq.nlargest(n, nums)\r\n"
       "  return largest_nums\n[DONE]"},
  };
}

Extraction extract(const Item& item, std::string_view text, bool chat) {
  Extraction result;
  result.extracted = chat ? fenced_code(text) : std::string(text);
  result.program = Program{result.extracted, item.tests, ""};
  return result;
}

}  // namespace

Task load_mbpp(const TaskOptions& options) {
  Task task;
  task.name = "mbpp";
  task.stop = task.chat_stop = {"[DONE]"};
  task.target_delimiter = "";
  task.extract = extract;
  const DataFile file = read_data(options.data);
  task.data_hash = file.hash;
  for (const DataLine& line : file.lines) {
    const std::int64_t number = line.integer("task_id");
    if (number < kFirstTestTask || number > kLastTestTask) continue;
    Item item;
    item.id = std::to_string(number);
    const std::vector<std::string> tests = line.texts("test_list", kTests);
    item.question = worded(line.text("text"), tests);
    item.tests = joined(tests);
    item.expected = item.tests;
    task.items.push_back(std::move(item));
  }
  add_fixed_shots(task, options, shot_count(options, kShots), shots());
  return task;
}

}  // namespace fdllm::eval
