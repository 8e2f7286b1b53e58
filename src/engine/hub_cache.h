#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fdllm {

/// What the environment says of Hugging Face's cache; empty: not set. The library reads no
/// environment: the command line fills it.
struct HubEnvironment {
  std::string hf_hub_cache;           ///< HF_HUB_CACHE
  std::string huggingface_hub_cache;  ///< HUGGINGFACE_HUB_CACHE, its older name
  std::string hf_home;                ///< HF_HOME
  std::string xdg_cache_home;         ///< XDG_CACHE_HOME
  std::string home;                   ///< HOME
};

/// The folder in which Hugging Face's tools keep what they download, by their own rules:
/// HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
/// ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_folder(const HubEnvironment& environment);

/// A model on the hub: "ORG/NAME" or "ORG/NAME@REVISION".
struct HubName {
  std::string repository;
  std::string revision;  ///< a branch, a tag or a commit; "main" where none is given

  std::string text() const;
};
/// nullopt where the text can't be such a name (another number of slashes, other characters).
std::optional<HubName> parse_hub_name(std::string_view text);

enum class HubFiles : std::uint8_t { kModel, kTokenizer };

/// The folder of a model in the cache: models--ORG--NAME/snapshots/COMMIT, or the GGUF file in it
/// where it holds one and no config.json. Throws kNotFound, with the command that downloads what is
/// missing, where the cache has no such model or revision or (for HubFiles::kModel) not all of its
/// weights.
std::filesystem::path find_hub_model(const std::filesystem::path& cache, const HubName& name,
                                     HubFiles needed = HubFiles::kModel);

/// All models of the cache, by name; a revision other than main is named with it.
std::vector<HubName> list_hub_models(const std::filesystem::path& cache);

}  // namespace fdllm
