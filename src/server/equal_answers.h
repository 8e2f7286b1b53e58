#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "server/planning.h"

namespace fdllm::server {

/// The answers to one HTTP request, whose options are the same but for their seeds and lengths:
/// those that must come out equal are generated once.
struct EqualAnswers {
  std::vector<std::size_t> firsts;               ///< the answer that stands for each group
  std::vector<std::vector<std::size_t>> groups;  ///< all answers of each, that one included
};

EqualAnswers group_equal(std::span<const PlannedAnswer> answers);

}  // namespace fdllm::server
