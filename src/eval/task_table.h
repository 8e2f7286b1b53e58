#pragma once
#include "eval/task.h"

// The tasks, one file each; task.cpp has the table.
namespace fdllm::eval {

Task load_gsm8k(const TaskOptions& options);
Task load_math(const TaskOptions& options);
Task load_humaneval(const TaskOptions& options);
Task load_mbpp(const TaskOptions& options);
Task load_jsonl(const TaskOptions& options);

}  // namespace fdllm::eval
