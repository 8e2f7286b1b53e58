#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "engine/hub_cache.h"
#include "engine/model_list.h"

namespace fdllm::cli {

/// For the help of options that take a model.
inline constexpr const char* kModelHelp =
    "checkpoint folder, GGUF file, ORG/NAME[@REVISION] in Hugging Face's cache, or the name of a "
    "shipped model";

/// The checkpoint that a user's `model` means: a file or folder of that name, else a shipped model,
/// else one of Hugging Face's cache. Throws kNotFound, with the command that downloads it, for an
/// ORG/NAME that isn't there; another text is given back as it is.
std::filesystem::path find_model(const std::string& model, HubFiles needed = HubFiles::kModel);

/// The name under which to serve a model: ORG/NAME for one of the cache, the name of the folder or
/// file else.
std::string served_name(const std::string& model);

/// Where the default checkpoint is: $FDLLM_MODEL, else the shipped one. Throws kNotFound.
std::filesystem::path default_model(HubFiles needed = HubFiles::kModel);

/// What --model takes by name: the shipped models and those of Hugging Face's cache.
std::vector<FoundModel> known_models();

}  // namespace fdllm::cli
