#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// Python's <. Throws for values that have no order.
bool is_less(const Value& a, const Value& b, Runtime& runtime);
/// Python's `sought in container`.
bool contains(const Value& container, const Value& sought, Runtime& runtime);
bool compare(Comparison comparison, const Value& left, const Value& right, Runtime& runtime);

/// A stable sort that stays in bounds whatever `less` says, and whose work is charged.
template <typename T, typename Less>
void sort_values(std::vector<T>& items, Less&& less, Runtime& runtime) {
  std::vector<T> merged(items.size());
  for (std::size_t width = 1; width < items.size(); width *= 2) {
    for (std::size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, items.size());
      const std::size_t end = std::min(begin + 2 * width, items.size());
      std::size_t left = begin;
      std::size_t right = middle;
      for (std::size_t out = begin; out < end; ++out) {
        runtime.budget().charge(1);
        const bool takes_right = right < end && (left == middle || less(items[right], items[left]));
        merged[out] = std::move(items[takes_right ? right++ : left++]);
      }
    }
    std::swap(items, merged);
  }
}

}  // namespace fdllm::jinja
