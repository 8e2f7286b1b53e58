#pragma once
#include <span>
#include <string_view>

#include "fastdllm/options.h"

namespace fdllm {

/// Options and their values under one name.
struct Preset {
  struct Value {
    std::string_view option;  ///< its name in generate_options()
    std::string_view value;
  };
  std::string_view name;
  std::span<const Value> values;
};

std::span<const Preset> presets();

/// Puts the values of options.preset into `options`, except those of options that were given, and
/// those that make no sense beside them: of an unmasking rule where another was chosen, refreshes,
/// rows before the block and blocks without a cache. What an earlier preset put there goes back to
/// the defaults. Throws kInvalidArgument for an unknown name.
void apply_preset(GenerateOptions& options);

/// Records that set() was called for the option.
void mark_given(GenerateOptions& options, const GenerateOption& option);
/// Records as given whatever differs from the defaults: fields that were assigned.
void mark_changed(GenerateOptions& options);

}  // namespace fdllm
