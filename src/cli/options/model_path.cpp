#include "cli/options/model_path.h"

#include <cstdlib>
#include <system_error>

#include "base/check.h"

namespace fdllm::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShippedModel = "llada-mini";
constexpr int kFoldersAbove = 4;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

HubEnvironment hub_environment() {
  return {.hf_hub_cache = environment("HF_HUB_CACHE"),
          .huggingface_hub_cache = environment("HUGGINGFACE_HUB_CACHE"),
          .hf_home = environment("HF_HOME"),
          .xdg_cache_home = environment("XDG_CACHE_HOME"),
          .home = environment("HOME")};
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The folders where shipped models may be: ../share/fastdllm/models beside the program's folder,
/// and models/ of the folders above it (a build tree).
std::vector<fs::path> shipped_folders() {
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  std::vector<fs::path> folders = {(folder / "../share/fastdllm/models").lexically_normal()};
  for (int i = 0; i < kFoldersAbove && folder.has_relative_path(); ++i) {
    folders.push_back(folder / "models");
    folder = folder.parent_path();
  }
  return folders;
}

/// Empty where none of that name is shipped.
fs::path find_shipped(const std::string& name) {
  for (const fs::path& folder : shipped_folders()) {
    if (is_there(folder / name / "config.json")) return folder / name;
  }
  return {};
}

}  // namespace

fs::path find_model(const std::string& model, HubFiles needed) {
  if (model.empty() || is_there(model)) return model;
  // A shell leaves the ~ of --model=~/folder as it is.
  if (const std::string home = environment("HOME"); model.starts_with("~/") && !home.empty()) {
    return home + model.substr(1);
  }
  if (model.find('/') == std::string::npos) {
    fs::path shipped = find_shipped(model);
    return shipped.empty() ? fs::path(model) : shipped;
  }
  if (model.ends_with(".gguf")) return model;
  if (const auto name = parse_hub_name(model)) {
    return find_hub_model(hub_cache_folder(hub_environment()), *name, needed);
  }
  return model;
}

std::string served_name(const std::string& model) {
  if (model.empty()) {
    const std::string named = environment("FDLLM_MODEL");
    return named.empty() ? std::string() : served_name(named);
  }
  if (is_there(model) || model.ends_with(".gguf")) return {};
  const auto name = parse_hub_name(model);
  return name ? name->text() : std::string();
}

fs::path default_model(HubFiles needed) {
  if (const std::string named = environment("FDLLM_MODEL"); !named.empty()) {
    return find_model(named, needed);
  }
  fs::path shipped = find_shipped(kShippedModel);
  if (!shipped.empty()) return shipped;
  std::string searched;
  for (const fs::path& folder : shipped_folders()) {
    searched += (searched.empty() ? "" : ", ") + folder.string();
  }
  fail(ErrorCode::kNotFound,
       "no --model given and the shipped model '{}' is not found (looked in {}); give --model DIR "
       "or set FDLLM_MODEL",
       kShippedModel, searched);
}

std::vector<FoundModel> known_models() {
  std::vector<FoundModel> models;
  for (const fs::path& folder : shipped_folders()) {
    models = find_models_in(folder);
    if (!models.empty()) break;
  }
  for (FoundModel& model : find_hub_models(hub_cache_folder(hub_environment()))) {
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace fdllm::cli
