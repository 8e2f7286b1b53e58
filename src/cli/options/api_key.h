#pragma once
#include <optional>
#include <string>

namespace fdllm::cli {

/// Where a server's API key may come from.
struct ApiKeySources {
  std::optional<std::string> given;        ///< --api-key
  std::string file;                        ///< --api-key-file; empty: none
  std::optional<std::string> environment;  ///< FDLLM_API_KEY
};

/// The key, or "" where none of them is there: then everybody may ask. The line end of a file's
/// only line is no part of it. Throws kInvalidArgument for a key that is empty, that no client
/// could send, or that is given twice, and kNotFound for a missing file; never with the key in it.
std::string read_api_key(const ApiKeySources& sources);

}  // namespace fdllm::cli
