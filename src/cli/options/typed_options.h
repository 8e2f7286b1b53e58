#pragma once
#include <string>
#include <string_view>

namespace fdllm::cli {

/// A message of the engine about options of the command line with their names as they are typed:
/// "'gen_length': expected ..." becomes "--gen-length: expected ...". Others stay as they are.
std::string with_typed_options(std::string_view message);

}  // namespace fdllm::cli
