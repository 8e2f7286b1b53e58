#include "eval/log.h"

#include "eval/eval_testing.h"
#include "eval/summary.h"

namespace fdllm::eval {
namespace {

using Json = nlohmann::ordered_json;

ItemRecord record_of(std::string id, bool correct, double clock = 1) {
  ItemRecord record;
  record.id = std::move(id);
  record.prompt_hash = 0xfedcba9876543210U;
  record.prompt_tokens = 12;
  record.text = "a \"quoted\"\nline \xe2\x82\xac";
  record.extracted = "5";
  record.expected = "6";
  record.correct = correct;
  record.refresh_forwards = 3;
  record.window_forwards = 7;
  record.query_rows = 100;
  record.useful_tokens = 20;
  record.seconds = 0.5;
  record.clock = clock;
  record.finish = FinishReason::kStop;
  return record;
}

const Json kSettings = {{"task", "t"}, {"data_hash", "h"}, {"options", {{"gen_length", 64}}}};

TEST(ResultLog, KeepsWhatWasWritten) {
  const TestFolder folder;
  const auto path = folder / "log.jsonl";
  {
    ResultLog log(path, kSettings, {{"cpu", "x"}});
    EXPECT_TRUE(log.items().empty());
    ItemRecord record = record_of("a", true);
    record.correct_strict = false;
    log.add(record);
    record = record_of("b", false);
    record.finish = FinishReason::kError;
    record.error = "too long";
    record.error_code = ErrorCode::kOutOfMemory;
    log.add(record);
  }
  const LogContent content = read_log(path);
  EXPECT_EQ(content.settings, kSettings);
  ASSERT_EQ(content.items.size(), 2u);
  const ItemRecord& a = content.items[0].record;
  EXPECT_EQ(a.id, "a");
  EXPECT_EQ(a.prompt_hash, 0xfedcba9876543210U);
  EXPECT_EQ(a.text, "a \"quoted\"\nline \xe2\x82\xac");
  EXPECT_EQ(a.correct, true);
  EXPECT_EQ(a.correct_strict, false);
  EXPECT_EQ(a.window_forwards, 7);
  EXPECT_EQ(a.query_rows, 100);
  EXPECT_EQ(a.finish, FinishReason::kStop);
  EXPECT_EQ(content.items[1].record.correct, false);
  EXPECT_EQ(content.items[1].record.error, "too long");
  EXPECT_EQ(content.items[0].record.error_code, std::nullopt);
  EXPECT_EQ(content.items[1].record.error_code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(content.items[1].record.finish, FinishReason::kError);
}

TEST(ResultLog, GoesOnAfterAnyTornEnd) {
  const TestFolder folder;
  const auto path = folder / "log.jsonl";
  {
    ResultLog log(path, kSettings, {});
    log.add(record_of("a", true));
    log.add(record_of("b", true));
  }
  const std::string whole = read_file(path);
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    folder.write("log.jsonl", whole.substr(0, length));
    std::size_t kept = 0;
    {
      ResultLog log(path, kSettings, {});
      kept = log.items().size();
      const auto newlines = std::count(whole.begin(), whole.begin() + length, '\n');
      EXPECT_EQ(kept, newlines < 2 ? 0u : static_cast<std::size_t>(newlines - 1)) << length;
      log.add(record_of("c", true));
    }
    const LogContent content = read_log(path);
    ASSERT_EQ(content.items.size(), kept + 1);
    EXPECT_EQ(content.items.back().session, kept == 0 ? 1 : 2);
  }
}

TEST(ResultLog, RefusesOtherSettingsAndOtherFiles) {
  const TestFolder folder;
  const auto path = folder / "log.jsonl";
  { ResultLog log(path, kSettings, {{"cpu", "x"}}); }
  { ResultLog log(path, kSettings, {{"cpu", "another"}}); }
  Json other = kSettings;
  other["options"]["gen_length"] = 128;
  other["shots"] = 5;
  expect_error(ErrorCode::kInvalidArgument,
               "options.gen_length was 64, is 128; shots was not set, is 5",
               [&] { ResultLog log(path, other, {}); });
  const std::string kept = read_file(path);
  {
    ResultLog log(path, kSettings, {});
    expect_error(ErrorCode::kBusy, "another process",
                 [&] { ResultLog second(path, kSettings, {}); });
  }
  EXPECT_EQ(read_file(path), kept);
  for (const char* text : {"my letter, without a newline", "{\"id\": 1}\n", "\n"}) {
    const auto letter = folder.write("letter.txt", text);
    expect_error(ErrorCode::kCorruptFile, "letter.txt",
                 [&] { ResultLog log(letter, kSettings, {}); });
    EXPECT_EQ(read_file(letter), text);
  }
  expect_error(ErrorCode::kNotFound, "none",
               [&] { ResultLog log(folder / "none" / "log.jsonl", kSettings, {}); });
}

TEST(ResultLog, DamagedLinesAreNamed) {
  const TestFolder folder;
  const auto path = folder / "log.jsonl";
  {
    ResultLog log(path, kSettings, {});
    log.add(record_of("a", true));
  }
  const std::string whole = read_file(path);
  const std::string item = whole.substr(whole.find('\n') + 1);
  expect_error(ErrorCode::kCorruptFile, "log.jsonl:3: the item 'a' is in the log twice",
               [&] { read_log(folder.write("log.jsonl", whole + item)); });
  for (const char* bad : {"{}", "[]", "x", "{\"id\": 5}", "null"}) {
    expect_error(ErrorCode::kCorruptFile, "log.jsonl:3",
                 [&] { read_log(folder.write("log.jsonl", whole + bad + "\n")); });
  }
  std::string wrong = item;
  wrong.replace(wrong.find("\"stop\""), 6, "\"what\"");
  expect_error(ErrorCode::kCorruptFile, "log.jsonl:3",
               [&] { read_log(folder.write("log.jsonl", whole + wrong)); });
}

TEST(Summary, AddsUpSessions) {
  std::vector<LoggedItem> items = {
      {record_of("a", true, 2), 1}, {record_of("b", false, 3), 1}, {record_of("c", true, 0.5), 2}};
  items.push_back({record_of("d", false, 1.5), 2});
  items.back().record.finish = FinishReason::kError;
  const Summary summary = summarize(items);
  EXPECT_EQ(summary.items, 4);
  EXPECT_EQ(summary.failed, 1);
  EXPECT_EQ(summary.accuracy.correct, 2);
  EXPECT_EQ(summary.accuracy.scored, 4);
  EXPECT_FALSE(summary.strict);
  EXPECT_DOUBLE_EQ(summary.seconds, 4.5);
  EXPECT_DOUBLE_EQ(summary.useful_tokens_per_second(), 80 / 4.5);
  EXPECT_DOUBLE_EQ(summary.tokens_per_forward(), 2);
  EXPECT_DOUBLE_EQ(summary.forwards_per_token(), 0.5);
  const Summary none = summarize(std::span<const LoggedItem>());
  EXPECT_EQ(none.useful_tokens_per_second(), 0);
  EXPECT_EQ(none.accuracy.fraction(), 0);
}

TEST(Summary, ComparesByItem) {
  LogContent first{kSettings, {}, {{record_of("a", true), 1}, {record_of("b", false), 1}}};
  LogContent second{
      kSettings,
      {},
      {{record_of("c", true), 1}, {record_of("b", true), 1}, {record_of("a", true), 1}}};
  const LogComparison comparison = compare(first, second);
  EXPECT_EQ(comparison.correct.items, 2);
  EXPECT_EQ(comparison.correct.both, 1);
  EXPECT_EQ(comparison.correct.only_second, 1);
  EXPECT_EQ(comparison.only_in_one, 1);
  EXPECT_EQ(comparison.second.items, 2);
  second.settings["data_hash"] = "other";
  expect_error(ErrorCode::kInvalidArgument, "'data_hash' is \"h\"",
               [&] { compare(first, second); });
  second.settings = kSettings;
  second.items.resize(1);
  expect_error(ErrorCode::kInvalidArgument, "no item in common", [&] { compare(first, second); });
}

TEST(ModelFingerprint, SeesAnotherModel) {
  const TestFolder folder;
  const auto path = folder.write("model.gguf", std::string(5'000'000, 'a'));
  const std::uint64_t before = model_fingerprint(path);
  EXPECT_EQ(model_fingerprint(path), before);
  std::string changed(5'000'000, 'a');
  changed.back() = 'b';
  folder.write("model.gguf", changed);
  EXPECT_NE(model_fingerprint(path), before);
}

}  // namespace
}  // namespace fdllm::eval
