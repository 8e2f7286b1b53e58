#include "eval/score.h"

#include <set>

#include "base/check.h"
#include "eval/data.h"

namespace fdllm::eval {

void score_answers(const Task& task, const std::map<std::string, std::string>& texts,
                   const std::function<void(const ItemRecord&)>& on_item) {
  for (const Item& item : task.items) {
    const auto found = texts.find(item.id);
    if (found == texts.end()) continue;
    ItemRecord record;
    record.id = item.id;
    record.text = found->second;
    record.expected = item.expected;
    Extraction extraction = task.extract(item, record.text);
    record.extracted = std::move(extraction.extracted);
    record.correct = extraction.correct;
    record.correct_strict = extraction.correct_strict;
    on_item(record);
  }
}

std::map<std::string, std::string> read_answers(const std::filesystem::path& path,
                                                const Task& task) {
  std::set<std::string_view> ids;
  for (const Item& item : task.items) ids.insert(item.id);
  std::map<std::string, std::string> texts;
  for (const DataLine& line : read_data(path).lines) {
    if (!line.has("text")) continue;
    const std::string id = line.value("id");
    if (!ids.contains(id)) continue;
    if (!texts.emplace(id, line.text("text")).second) {
      fail(ErrorCode::kInvalidArgument, "{}: 'id': '{}' is answered twice", line.where(), id);
    }
  }
  if (texts.empty()) {
    fail(ErrorCode::kInvalidArgument, "{}: has no answer to a question of the task '{}'",
         path.string(), task.name);
  }
  return texts;
}

}  // namespace fdllm::eval
