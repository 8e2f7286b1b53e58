#pragma once
#include "eval/task.h"

// The tasks, one file each; task.cpp has the table.
namespace fdllm::eval {

Task load_gsm8k(const TaskOptions& options);
Task load_jsonl(const TaskOptions& options);

}  // namespace fdllm::eval
