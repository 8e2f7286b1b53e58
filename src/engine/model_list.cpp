#include "engine/model_list.h"

#include <algorithm>
#include <system_error>

#include "base/check.h"
#include "base/mapped_file.h"
#include "engine/hub_cache.h"
#include "formats/checkpoint.h"
#include "formats/hf_config.h"
#include "model/config.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

/// config.json alone, to know a family by where the weights can't be opened.
class ConfigOnly final : public Checkpoint {
 public:
  explicit ConfigOnly(const fs::path& folder)
      : path_(folder),
        config_(parse_hf_config(MappedFile::open(folder / "config.json").text(), "config.json")) {}

  const fs::path& path() const override { return path_; }
  std::string_view format() const override { return "safetensors"; }
  const Metadata& config() const override { return config_; }
  const Metadata& generation() const override { return config_; }
  const TensorView* find(std::string_view /*name*/) const override { return nullptr; }
  std::vector<std::string> names() const override { return {}; }

 private:
  fs::path path_;
  Metadata config_;
};

std::uint64_t weight_bytes(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const std::uint64_t bytes = fs::file_size(path, error);
    return error ? 0 : bytes;
  }
  std::uint64_t sum = 0;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->path().string().ends_with(".safetensors")) continue;
    std::error_code of_file;
    const std::uint64_t bytes = fs::file_size(entry->path(), of_file);
    if (!of_file) sum += bytes;
  }
  return sum;
}

std::string family_by_config(const fs::path& folder) {
  try {
    return std::string(family_of(ConfigOnly(folder)).name);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

FoundModel describe_model(std::string name, const fs::path& path) {
  FoundModel model{.name = std::move(name),
                   .path = path,
                   .family = {},
                   .bytes = weight_bytes(path),
                   .problem = {}};
  try {
    const auto checkpoint = open_checkpoint(path);
    const Family& family = family_of(*checkpoint);
    model.family = family.name;
    family.read_config(*checkpoint);
  } catch (const Error& error) {
    if (model.family.empty()) model.family = family_by_config(path);
    model.problem = error.what();
  }
  return model;
}

std::vector<FoundModel> find_hub_models(const fs::path& cache) {
  std::vector<FoundModel> models;
  for (const HubName& name : list_hub_models(cache)) {
    FoundModel model;
    try {
      model = describe_model(name.text(), find_hub_model(cache, name));
    } catch (const Error& error) {
      const fs::path folder = find_hub_model(cache, name, HubFiles::kTokenizer);
      model = {.name = name.text(),
               .path = folder,
               .family = family_by_config(folder),
               .bytes = weight_bytes(folder),
               .problem = error.what()};
    }
    if (!model.family.empty()) models.push_back(std::move(model));
  }
  return models;
}

std::vector<FoundModel> find_models_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    paths.push_back(entry->path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<FoundModel> models;
  for (const fs::path& path : paths) {
    std::error_code ignored;
    if (!fs::exists(path / "config.json", ignored) && path.extension() != ".gguf") continue;
    FoundModel model = describe_model(path.filename().string(), path);
    if (!model.family.empty()) models.push_back(std::move(model));
  }
  return models;
}

}  // namespace fdllm
