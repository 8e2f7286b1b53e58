#include "eval/run.h"

#include <algorithm>

#include "eval/eval_testing.h"

namespace fdllm::eval {
namespace {

Engine nano() {
  return Engine::load(std::string(FASTDLLM_SOURCE_DIR) + "/models/llada-nano");
}

Task sums(const TestFolder& folder, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += fmt::format("{{\"question\": \"Compute {} + 7 - 3.\", \"answer\": \"{}\"}}\n", 10 + i,
                         14 + i);
  }
  TaskOptions options;
  options.name = "jsonl";
  options.data = folder.write("sums.jsonl", lines);
  return load_task(options);
}

RunOptions short_run() {
  RunOptions options;
  options.generate.gen_length = 64;
  options.chat = true;
  return options;
}

TEST(Run, GivesWhatGenerateGives) {
  const TestFolder folder;
  const Task task = sums(folder, 6);
  Engine engine = nano();
  RunOptions options = short_run();
  const RunResult alone = run(engine, task, options);
  options.concurrency = 4;
  std::vector<std::string> order;
  RunCallbacks callbacks;
  callbacks.on_item = [&](const ItemRecord& record) { order.push_back(record.id); };
  const RunResult batched = run(engine, task, options, callbacks);
  ASSERT_EQ(batched.records.size(), 6u);
  EXPECT_EQ(order.size(), 6u);
  EXPECT_FALSE(batched.cancelled);
  EXPECT_GT(batched.seconds, 0);
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    GenerateRequest request;
    request.options = options.generate;
    request.options.seed += i;
    const std::vector<ChatMessage> messages = {{"user", task.items[i].question}};
    request.prompt_ids = engine.tokenize(engine.apply_chat_template(messages));
    const GenerateResult direct = engine.generate(std::span(&request, 1))[0];
    for (const RunResult* result : {&alone, &batched}) {
      const ItemRecord& record = result->records[i];
      EXPECT_EQ(record.id, task.items[i].id);
      EXPECT_EQ(record.text, direct.text);
      EXPECT_EQ(record.useful_tokens, std::ssize(direct.ids));
      EXPECT_EQ(record.refresh_forwards, direct.refresh_forwards);
      EXPECT_EQ(record.window_forwards, direct.window_forwards);
      EXPECT_EQ(record.prompt_tokens, std::ssize(request.prompt_ids));
      EXPECT_EQ(record.correct, task.extract(task.items[i], direct.text).correct);
      EXPECT_LE(record.clock, result->seconds);
    }
  }
}

TEST(Run, SkipsWhatIsDoneAndStopsWhenAsked) {
  const TestFolder folder;
  const Task task = sums(folder, 8);
  Engine engine = nano();
  RunOptions options = short_run();
  options.skip = {"0", "3", "7"};
  int done = 0;
  RunCallbacks callbacks;
  callbacks.on_item = [&](const ItemRecord& record) {
    EXPECT_FALSE(options.skip.contains(record.id));
    ++done;
  };
  callbacks.cancelled = [&] { return done >= 2; };
  const RunResult result = run(engine, task, options, callbacks);
  EXPECT_TRUE(result.cancelled);
  EXPECT_EQ(std::ssize(result.records), done);
  EXPECT_LT(done, 5);
  callbacks.cancelled = {};
  done = 0;
  EXPECT_EQ(run(engine, task, options, callbacks).records.size(), 5u);
  for (const Item& item : task.items) options.skip.insert(item.id);
  EXPECT_TRUE(run(engine, task, options).records.empty());
}

TEST(Run, AnItemThatIsTooLongFailsAlone) {
  const TestFolder folder;
  Task task = sums(folder, 3);
  for (int i = 0; i < 4000; ++i) task.items[1].question += " and 5";
  Engine engine = nano();
  const RunResult result = run(engine, task, short_run());
  ASSERT_EQ(result.records.size(), 3u);
  EXPECT_EQ(result.records[1].finish, FinishReason::kError);
  EXPECT_EQ(result.records[1].correct, false);
  EXPECT_NE(result.records[1].error.find("positions"), std::string::npos);
  EXPECT_TRUE(result.records[0].error.empty());
  EXPECT_TRUE(result.records[2].error.empty());
}

TEST(Run, StopStringsCutWithAndWithoutFilling) {
  const TestFolder folder;
  Task task = sums(folder, 4);
  task.chat_stop = {"####"};
  Engine engine = nano();
  RunOptions options = short_run();
  const RunResult early = run(engine, task, options);
  options.generate.eos_stop = false;
  const RunResult filled = run(engine, task, options);
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    EXPECT_EQ(early.records[i].text.find("####"), std::string::npos);
    EXPECT_EQ(filled.records[i].text, early.records[i].text);
    EXPECT_EQ(filled.records[i].useful_tokens, early.records[i].useful_tokens);
    EXPECT_GT(filled.records[i].refresh_forwards, early.records[i].refresh_forwards);
  }
}

TEST(Run, RefusesWhatTheModelRefuses) {
  const TestFolder folder;
  const Task task = sums(folder, 2);
  Engine engine = nano();
  RunOptions options = short_run();
  options.generate.gen_length = -33;
  expect_error(ErrorCode::kInvalidArgument, "gen_length", [&] { run(engine, task, options); });
  options = short_run();
  options.concurrency = 0;
  expect_error(ErrorCode::kInvalidArgument, "--concurrency", [&] { run(engine, task, options); });
  options = short_run();
  options.chat = false;
  options.shot_style = ShotStyle::kTurns;
  expect_error(ErrorCode::kInvalidArgument, "--shots-as turns",
               [&] { run(engine, task, options); });
}

}  // namespace
}  // namespace fdllm::eval
