#pragma once
#include "fastdllm/options.h"

namespace fdllm {

/// `options` with the values of their preset, where they have one: except those of options that are
/// given, those of an unmask rule where another is chosen, and those that make no sense beside what
/// is given: refreshes, rows before the block and blocks without a cache. Throws kInvalidArgument
/// for an unknown name.
GenerateOptions with_preset(GenerateOptions options);

}  // namespace fdllm
