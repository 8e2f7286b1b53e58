#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fdllm {

/// A checkpoint of a family that this engine knows, as far as can be told without its weights.
struct FoundModel {
  std::string name;  ///< what --model takes
  std::filesystem::path path;
  std::string family;
  std::uint64_t bytes = 0;  ///< of its weight files
  std::string problem;      ///< why it can't be loaded; empty: it opens
};

/// The checkpoint at `path`; its family is empty where it is none that this engine knows.
FoundModel describe_model(std::string name, const std::filesystem::path& path);

/// The models of Hugging Face's cache that are of a known family (hub_cache.h).
std::vector<FoundModel> find_hub_models(const std::filesystem::path& cache);
/// The checkpoint folders and GGUF files in `folder`, by name.
std::vector<FoundModel> find_models_in(const std::filesystem::path& folder);

}  // namespace fdllm
