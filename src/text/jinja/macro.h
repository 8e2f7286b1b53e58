#pragma once
#include <map>
#include <string>

#include "text/jinja/ast.h"

namespace fdllm::jinja {

/// Names and what they stand for. Those of the enclosing scope are seen from within.
struct Scope {
  std::map<std::string, Value, std::less<>> names;
  Scope* parent = nullptr;
  bool is_kept = false;  ///< a macro that was made within may outlive the block
};

/// A macro as a value: what it does and the names around its definition.
struct Macro {
  const MacroDefinition* definition;
  Scope* scope;
};

}  // namespace fdllm::jinja
