#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "eval/run.h"
#include "eval/task.h"

namespace fdllm::eval {

/// Scores answers that were made before: `texts` by item id; items without one are left out.
/// `on_item` is called in the order of the task.
void score_answers(const Task& task, const std::map<std::string, std::string>& texts,
                   const std::function<void(const ItemRecord&)>& on_item);

/// Reads answers: JSON lines {id, text}, such as a log; lines without a text are skipped. Throws
/// kInvalidArgument where an item has two answers, or none has one. Answers to other ids are
/// ignored.
std::map<std::string, std::string> read_answers(const std::filesystem::path& path,
                                                const Task& task);

}  // namespace fdllm::eval
