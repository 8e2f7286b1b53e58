#include "engine/hub_cache.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/check.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "formats/safetensors.h"
#include "formats/unusable_folder.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMain = "main";
constexpr std::string_view kFolderPrefix = "models--";
constexpr std::size_t kMostEntries = 10000;
constexpr std::size_t kMostNames = 5;  // that a message lists

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end;
       !error && entry != end && names.size() < kMostEntries; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path with_home(const std::string& path, const std::string& home) {
  if (path == "~" || path.starts_with("~/")) return fs::path(home + path.substr(1));
  return path;
}

fs::path repository_folder(const fs::path& cache, const HubName& name) {
  std::string folder(kFolderPrefix);
  for (const char c : name.repository) folder += c == '/' ? std::string("--") : std::string(1, c);
  return cache / folder;
}

std::string command_for(const HubName& name) {
  std::string command = "hf download " + name.repository;
  if (name.revision != kMain) command += " --revision " + name.revision;
  return command;
}

bool is_commit(std::string_view text) {
  constexpr std::size_t kDigits = 40;
  return text.size() == kDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The commit that a branch or tag stands for; empty where the cache doesn't know it.
std::string read_ref(const fs::path& repository, const std::string& revision) {
  const fs::path file = repository / "refs" / revision;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) == 0) return {};
  std::string commit(MappedFile::open(file).text().substr(0, 100));
  commit.erase(commit.find_last_not_of(" \r\n") + 1);
  // It becomes a part of a path.
  return commit.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos && commit != ".."
             ? commit
             : std::string();
}

/// Branches and tags; refs/pr/1 is "pr/1".
std::vector<std::string> refs_of(const fs::path& repository) {
  std::vector<std::string> refs;
  const fs::path folder = repository / "refs";
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end;
       !error && entry != end && refs.size() < kMostEntries; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) {
      refs.push_back(entry->path().lexically_relative(folder).generic_string());
    }
  }
  std::sort(refs.begin(), refs.end());
  return refs;
}

std::vector<std::string> revisions_of(const fs::path& repository) {
  std::vector<std::string> revisions;
  std::set<std::string> named;
  for (const std::string& ref : refs_of(repository)) {
    const std::string commit = read_ref(repository, ref);
    if (!is_there(repository / "snapshots" / commit)) continue;
    revisions.push_back(ref);
    named.insert(commit);
  }
  for (const std::string& commit : names_in(repository / "snapshots")) {
    if (!named.contains(commit)) revisions.push_back(commit);
  }
  return revisions;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostNames) text += fmt::format(" and {} more", names.size() - kMostNames);
  return text;
}

fs::path find_snapshot(const fs::path& cache, const HubName& name) {
  const fs::path repository = repository_folder(cache, name);
  if (!is_there(repository)) {
    fail(ErrorCode::kNotFound,
         "{}: found no such file or folder here, and none of that name in Hugging Face's cache {}; "
         "'{}' downloads it from the hub",
         name.text(), cache.string(), command_for(name));
  }
  const std::string commit =
      is_commit(name.revision) ? name.revision : read_ref(repository, name.revision);
  if (!commit.empty() && is_there(repository / "snapshots" / commit)) {
    return repository / "snapshots" / commit;
  }
  const auto revisions = revisions_of(repository);
  const std::string others =
      revisions.empty() ? std::string("nothing")
                        : fmt::format("{} (give {}@REVISION)", list(revisions), name.repository);
  fail(ErrorCode::kNotFound,
       "{}: expected the revision {} in Hugging Face's cache {}, found {}; '{}' downloads it",
       name.text(), quote(name.revision), repository.string(), others, command_for(name));
}

/// Shards that the index names and the folder lacks.
std::vector<std::string> missing_shards(const fs::path& snapshot) {
  const fs::path index = snapshot / "model.safetensors.index.json";
  if (is_there(snapshot / "model.safetensors") || !is_there(index)) return {};
  std::set<std::string> missing;
  for (const auto& [tensor, file] :
       parse_safetensors_index(MappedFile::open(index).text(), index.string())) {
    if (!is_there(snapshot / file)) missing.insert(file);
  }
  return {missing.begin(), missing.end()};
}

void require_weights(const fs::path& snapshot, const HubName& name) {
  const auto missing = missing_shards(snapshot);
  if (!missing.empty()) {
    fail(ErrorCode::kNotFound,
         "{}: its download is not complete: {} lacks {}{}; '{}' fetches the rest", name.text(),
         snapshot.string(), list(missing), unfinished_download(snapshot), command_for(name));
  }
  const auto names = names_in(snapshot);
  const bool has_weights = std::any_of(names.begin(), names.end(), [](const std::string& file) {
    return file.ends_with(".safetensors") || file.ends_with(".gguf") || file.ends_with(".bin") ||
           file.ends_with(".safetensors.index.json");
  });
  if (!has_weights) {
    fail(ErrorCode::kNotFound,
         "{}: Hugging Face's cache holds no weights of it ({}){}; '{}' "
         "fetches the rest",
         name.text(), snapshot.string(), unfinished_download(snapshot), command_for(name));
  }
}

}  // namespace

std::string HubName::text() const {
  return revision == kMain ? repository : repository + '@' + revision;
}

fs::path hub_cache_folder(const HubEnvironment& environment) {
  const auto path = [&](const std::string& text) { return with_home(text, environment.home); };
  if (!environment.hf_hub_cache.empty()) return path(environment.hf_hub_cache);
  if (!environment.huggingface_hub_cache.empty()) return path(environment.huggingface_hub_cache);
  if (!environment.hf_home.empty()) return path(environment.hf_home) / "hub";
  const std::string& xdg = environment.xdg_cache_home;
  return path(xdg.empty() ? "~/.cache" : xdg) / "huggingface" / "hub";
}

std::optional<HubName> parse_hub_name(std::string_view text) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const auto is_part = [&](std::string_view part, std::string_view others) {
    return !part.empty() &&
           part.find_first_not_of(std::string(kLetters).append(others)) == std::string_view::npos;
  };
  HubName name{std::string(text), std::string(kMain)};
  if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
    name.repository = text.substr(0, at);
    name.revision = text.substr(at + 1);
  }
  const std::size_t slash = name.repository.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::string_view organisation = std::string_view(name.repository).substr(0, slash);
  const std::string_view model = std::string_view(name.repository).substr(slash + 1);
  const bool is_name =
      is_part(organisation, "-_.") && is_part(model, "-_.") && !organisation.starts_with('.') &&
      !model.starts_with('.') && is_part(name.revision, "-_./+") &&
      name.revision.find("..") == std::string::npos && !name.revision.starts_with('/');
  return is_name ? std::optional(name) : std::nullopt;
}

fs::path find_hub_model(const fs::path& cache, const HubName& name, HubFiles needed) {
  const fs::path snapshot = find_snapshot(cache, name);
  if (needed == HubFiles::kTokenizer) return snapshot;
  require_weights(snapshot, name);
  if (is_there(snapshot / "config.json")) return snapshot;
  std::vector<std::string> files = names_in(snapshot);
  std::erase_if(files, [](const std::string& file) { return !file.ends_with(".gguf"); });
  return files.size() == 1 ? snapshot / files.front() : snapshot;
}

std::vector<HubName> list_hub_models(const fs::path& cache) {
  std::vector<HubName> models;
  for (const std::string& folder : names_in(cache)) {
    if (!folder.starts_with(kFolderPrefix)) continue;
    std::string repository = folder.substr(kFolderPrefix.size());
    const std::size_t dashes = repository.find("--");
    if (dashes == std::string::npos) continue;
    repository.replace(dashes, 2, "/");
    for (const std::string& revision : revisions_of(cache / folder)) {
      models.push_back({repository, revision});
    }
  }
  return models;
}

}  // namespace fdllm
