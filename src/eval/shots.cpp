#include "eval/shots.h"

#include <vector>

#include "base/check.h"

namespace fdllm::eval {

std::int32_t shot_count(const TaskOptions& options, std::int32_t fallback) {
  const std::int32_t count = options.shots.value_or(fallback);
  if (count < 0) fail(ErrorCode::kInvalidArgument, "--shots: expected 0 or more, found {}", count);
  return count;
}

void add_shots_of_file(Task& task, const TaskOptions& options, std::int32_t count,
                       const std::function<Shot(const DataLine&)>& to_shot) {
  task.shots = count;
  if (count == 0) return;
  if (options.fewshot_data.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "--shots {}: the task '{}' takes its shots from a training file; name it with "
         "--fewshot-data FILE, or give --shots 0",
         count, task.name);
  }
  const DataFile file = read_data(options.fewshot_data);
  task.data_hash = hash_bytes(fmt::format("{:x}", file.hash), task.data_hash);
  if (static_cast<std::size_t>(count) > file.lines.size()) {
    fail(ErrorCode::kInvalidArgument, "--shots {}: {} has only {} lines", count,
         options.fewshot_data.string(), file.lines.size());
  }
  std::vector<Shot> shots;
  for (std::int32_t i = 0; i < count; ++i) shots.push_back(to_shot(file.lines[i]));
  for (Item& item : task.items) item.shots = shots;
}

}  // namespace fdllm::eval
