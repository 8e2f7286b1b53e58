#include "eval/task.h"

#include "eval/eval_testing.h"

namespace fdllm::eval {
namespace {

// tests/e2e/eval_lm_eval_test.py compares the prompts with lm-eval's.

TaskOptions options_for(std::string name, std::filesystem::path data) {
  TaskOptions options;
  options.name = std::move(name);
  options.data = std::move(data);
  return options;
}

TEST(Task, JsonlInOneTextAndInTurns) {
  const TestFolder folder;
  TaskOptions options = options_for(
      "jsonl", folder.write("q.jsonl",
                            "{\"question\": \"1 + 1?\", \"answer\": \"so\\n#### 2\", \"id\": 7}\n\n"
                            "{\"question\": \"2 + 2?\", \"answer\": 4, \"more\": [1]}\r\n"));
  options.fewshot_data =
      folder.write("s.jsonl",
                   "{\"question\": \"a?\", \"answer\": \"b\"}\n"
                   "{\"question\": \"c?\", \"answer\": \"d\", \"solution\": \"e #### d\"}\n");
  options.shots = 2;
  const Task task = load_task(options);
  ASSERT_EQ(task.items.size(), 2u);
  EXPECT_EQ(task.items[0].id, "7");
  EXPECT_EQ(task.items[0].expected, "2");
  EXPECT_EQ(task.items[1].id, "1");
  EXPECT_EQ(task.items[1].expected, "4");
  EXPECT_EQ(prompt_text(task, task.items[0]),
            "Question: a?\nAnswer: b\n\nQuestion: c?\nAnswer: e #### d\n\nQuestion: 1 + "
            "1?\nAnswer:");
  const auto turns = prompt_messages(task, task.items[1], task.chat_shots);
  ASSERT_EQ(turns.size(), 5u);
  EXPECT_EQ(turns[2].role, "user");
  EXPECT_EQ(turns[2].content, "c?");
  EXPECT_EQ(turns[3].role, "assistant");
  EXPECT_EQ(turns[3].content, "e #### d");
  EXPECT_EQ(turns[4].content, "2 + 2?");
  EXPECT_TRUE(task.extract(task.items[0], "it is 1 + 1 = 2. #### 2").correct);
  EXPECT_FALSE(task.extract(task.items[0], "2 #### 3").correct);
}

TEST(Task, TheFirstLinesAreShotsAndTheirFileCounts) {
  const TestFolder folder;
  std::string lines;
  for (int i = 0; i < 30; ++i) {
    lines += fmt::format("{{\"question\": \"q{}\", \"answer\": \"#### {}\"}}\n", i, i);
  }
  TaskOptions options = options_for("gsm8k", folder.write("t.jsonl", lines));
  options.fewshot_data = folder.write("s.jsonl", lines);
  const Task task = load_task(options);
  EXPECT_EQ(task.shots, 5);
  options.limit = 3;
  const Task limited = load_task(options);
  ASSERT_EQ(limited.items.size(), 3u);
  EXPECT_EQ(limited.data_hash, task.data_hash);
  EXPECT_EQ(prompt_text(limited, limited.items[2]), prompt_text(task, task.items[2]));
  EXPECT_EQ(task.items[1].shots[0].question, "Question: q0\nAnswer:");
  EXPECT_EQ(task.items[29].shots[4].question, "Question: q4\nAnswer:");
  options.fewshot_data = folder.write("s.jsonl", lines + lines);
  EXPECT_NE(load_task(options).data_hash, task.data_hash);
}

TEST(Task, RefusesWhatItCannotAsk) {
  const TestFolder folder;
  const auto good = folder.write("good.jsonl", "{\"question\": \"q\", \"answer\": \"1\"}\n");
  const auto refused = [&](ErrorCode code, std::string_view part, const TaskOptions& options) {
    expect_error(code, part, [&] { load_task(options); });
  };
  const auto with = [&](std::string_view name, std::string_view text) {
    return options_for("jsonl", folder.write(name, text));
  };
  refused(ErrorCode::kInvalidArgument, "expected one of gsm8k, jsonl; lm-eval",
          options_for("gsm", good));
  refused(ErrorCode::kNotFound, "none.jsonl", options_for("jsonl", folder / "none.jsonl"));
  refused(ErrorCode::kCorruptFile, "a.jsonl:2",
          with("a.jsonl", "{\"question\": \"q\", \"answer\": \"1\"}\n{\"question\""));
  refused(ErrorCode::kInvalidArgument, "b.jsonl:1: expected an object", with("b.jsonl", "[1]\n"));
  refused(ErrorCode::kInvalidArgument, "c.jsonl: expected JSON lines", with("c.jsonl", "\n \n"));
  refused(ErrorCode::kInvalidArgument, "'answer': expected a text or a number, but the line has",
          with("d.jsonl", "{\"question\": \"q\"}\n"));
  refused(ErrorCode::kInvalidArgument, "'question': expected a text, found 5",
          with("e.jsonl", "{\"question\": 5, \"answer\": 1}\n"));
  refused(ErrorCode::kInvalidArgument, "two items have the id 'a'",
          with("f.jsonl",
               "{\"question\": \"q\", \"answer\": 1, \"id\": \"a\"}\n"
               "{\"question\": \"q\", \"answer\": 1, \"id\": \"a\"}\n"));
  refused(ErrorCode::kInvalidArgument, "expected an answer, found none",
          with("g.jsonl", "{\"question\": \"q\", \"answer\": \"####\"}\n"));
  TaskOptions options = options_for("gsm8k", good);
  refused(ErrorCode::kInvalidArgument, "--fewshot-data", options);
  options.fewshot_data = good;
  refused(ErrorCode::kInvalidArgument, "has only 1 lines", options);
  options.shots = -1;
  refused(ErrorCode::kInvalidArgument, "--shots: expected 0 or more", options);
  options.shots = 1;
  options.limit = 0;
  refused(ErrorCode::kInvalidArgument, "--limit", options);
}

}  // namespace
}  // namespace fdllm::eval
