#pragma once
#include <deque>
#include <string_view>
#include <vector>

#include "text/jinja/macro.h"

namespace fdllm::jinja {

/// The scopes of one rendering. A scope is used again once its block has ended, unless a macro
/// that was made within may still read its names.
class Scopes {
 public:
  Scopes() : current_(&all_.emplace_back()) {}

  Scope& current() { return *current_; }

  /// The value of a name, or null.
  const Value* find(std::string_view name) const {
    for (const Scope* scope = current_; scope != nullptr; scope = scope->parent) {
      const auto found = scope->names.find(name);
      if (found != scope->names.end()) return &found->second;
    }
    return nullptr;
  }

  /// Marks the current scope and those around it: a macro reads their names.
  Scope* keep_current() {
    for (Scope* scope = current_; scope != nullptr && !scope->is_kept; scope = scope->parent) {
      scope->is_kept = true;
    }
    return current_;
  }

  /// A scope within `parent` while it lives.
  class Inner {
   public:
    Inner(Scopes& scopes, Scope* parent) : scopes_(scopes), outer_(scopes.current_) {
      scopes.enter(parent);
    }
    explicit Inner(Scopes& scopes) : Inner(scopes, scopes.current_) {}
    ~Inner() { scopes_.leave(outer_); }
    Inner(const Inner&) = delete;
    Inner& operator=(const Inner&) = delete;

   private:
    Scopes& scopes_;
    Scope* outer_;
  };

 private:
  void enter(Scope* parent) {
    if (free_.empty()) {
      current_ = &all_.emplace_back();
    } else {
      current_ = free_.back();
      free_.pop_back();
    }
    current_->parent = parent;
  }

  void leave(Scope* outer) {
    if (!current_->is_kept) {
      current_->names.clear();
      free_.push_back(current_);
    }
    current_ = outer;
  }

  std::deque<Scope> all_;
  std::vector<Scope*> free_;
  Scope* current_;
};

}  // namespace fdllm::jinja
