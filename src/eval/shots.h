#pragma once
#include <functional>

#include "eval/data.h"
#include "eval/task.h"

namespace fdllm::eval {

/// The number of shots that is asked for: the options', else `fallback`.
std::int32_t shot_count(const TaskOptions& options, std::int32_t fallback);

/// Gives every item of `task` the first `count` shots of the options' training file, worded by
/// `to_shot`, and adds the file to the task's hash. Throws kInvalidArgument where the file is not
/// named or too short.
void add_shots_of_file(Task& task, const TaskOptions& options, std::int32_t count,
                       const std::function<Shot(const DataLine&)>& to_shot);

}  // namespace fdllm::eval
