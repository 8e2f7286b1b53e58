#pragma once
#include <cstdint>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Python's binary operators (kAdd ... kPower) on two values. Whole numbers have 64 bits: what is
/// beyond is refused.
Value arithmetic(ExprKind kind, const Value& left, const Value& right, Runtime& runtime);
/// kNegative and kPositive.
Value signed_value(ExprKind kind, const Value& value, Runtime& runtime);
/// a ** b of whole numbers, b not negative.
std::int64_t whole_power(std::int64_t a, std::int64_t b, Runtime& runtime);

}  // namespace fdllm::jinja
