#pragma once
#include <vector>

#include "text/jinja/runtime.h"

namespace fdllm::jinja {

/// The argument `attribute` of filters: "a.b.0" is item a, of that item b, of that item 0.
class AttributePath {
 public:
  /// None: the value itself.
  AttributePath(const Value& attribute, Runtime& runtime);
  /// Where an item is undefined, `fallback` stands in for it unless that is none.
  Value of(const Value& item, const Value& fallback, Runtime& runtime) const;

 private:
  std::vector<Value> parts_;
};

}  // namespace fdllm::jinja
