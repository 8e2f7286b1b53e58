#include "formats/unusable_folder.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/lfs_pointer.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "formats/hf_config.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 10000;  // of a folder that are looked at
constexpr std::size_t kMostNames = 5;        // that a message lists

constexpr std::array<std::string_view, 10> kOtherWeights = {
    ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".npz", ".pkl", ".nemo"};
constexpr std::array<std::string_view, 4> kUnfinished = {".incomplete", ".part", ".aria2",
                                                         ".crdownload"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Names in a folder, sorted; empty where it can't be read.
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

bool ends_in(std::string_view name, std::span<const std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::vector<std::string> ending_in(const std::vector<std::string>& names,
                                   std::span<const std::string_view> endings) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (ends_in(name, endings)) found.push_back(name);
  }
  return found;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostNames) text += fmt::format(" and {} more", names.size() - kMostNames);
  return text;
}

void refuse_adapter(const fs::path& folder) {
  const fs::path file = folder / "adapter_config.json";
  if (!is_there(file)) return;
  std::string base = "its base model";
  try {
    const Metadata config = parse_hf_config(MappedFile::open(file).text(), "adapter_config.json");
    if (const auto name = config.text("base_model_name_or_path")) base = quote(*name);
  } catch (const Error&) {  // the sentence below is right without the name
  }
  fail(ErrorCode::kUnsupported,
       "{}: expected a model, found an adapter (adapter_config.json); merge it into {} first "
       "(peft: merge_and_unload(), then save_pretrained()) and give that folder",
       folder.string(), base);
}

/// Folders one level below, or a snapshot of a folder of Hugging Face's cache, that hold a model.
std::vector<std::string> models_below(const fs::path& folder,
                                      const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (is_there(folder / name / "config.json")) found.push_back((folder / name).string());
  }
  if (!found.empty() || !is_there(folder / "snapshots")) return found;
  return models_below(folder / "snapshots", names_in(folder / "snapshots"));
}

void refuse_other_place(const fs::path& folder, const std::vector<std::string>& names) {
  const auto below = models_below(folder, names);
  if (!below.empty()) {
    fail(ErrorCode::kNotFound, "{}: expected config.json in the folder, found one below; give {}",
         folder.string(), list(below));
  }
}

void refuse_other_weights(const fs::path& folder, const std::vector<std::string>& names) {
  constexpr std::array<std::string_view, 1> kGguf = {".gguf"};
  const auto gguf = ending_in(names, kGguf);
  if (!gguf.empty()) {
    fail(ErrorCode::kNotFound,
         "{}: expected a Hugging Face folder with safetensors weights, found GGUF files; give one "
         "of them: {}",
         folder.string(), list(gguf));
  }
  const auto others = ending_in(names, kOtherWeights);
  if (!others.empty()) {
    fail(ErrorCode::kUnsupported,
         "{}: expected safetensors weights, found only other ones ({}); transformers writes "
         "safetensors: AutoModel.from_pretrained(..., trust_remote_code=True).save_pretrained(...)",
         folder.string(), list(others));
  }
}

void refuse_other_safetensors(const fs::path& folder, const std::vector<std::string>& names) {
  constexpr std::array<std::string_view, 1> kSafetensors = {".safetensors"};
  const auto files = ending_in(names, kSafetensors);
  if (files.empty()) return;
  fail(ErrorCode::kNotFound,
       "{}: expected model.safetensors, or model.safetensors.index.json and the files that it "
       "names, found {} without an index{}",
       folder.string(), list(files), unfinished_download(folder));
}

}  // namespace

std::string unfinished_download(const fs::path& folder) {
  // The last two: 'hf download --local-dir', and the blobs beside a snapshot of the cache.
  std::size_t files = 0;
  for (const fs::path& place :
       {folder, folder / ".cache" / "huggingface" / "download", folder / ".." / ".." / "blobs"}) {
    files += ending_in(names_in(place), kUnfinished).size();
  }
  if (files == 0) return {};
  return fmt::format("; its download is not complete ({} unfinished file{})", files,
                     files == 1 ? "" : "s");
}

void refuse_folder(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  if (names.empty()) {
    fail(ErrorCode::kNotFound, "{}: expected a checkpoint folder, found an empty folder",
         folder.string());
  }
  if (is_there(folder / "model_index.json")) {
    fail(ErrorCode::kUnsupported,
         "{}: expected a language model, found a pipeline of diffusers (model_index.json)",
         folder.string());
  }
  refuse_adapter(folder);
  if (!is_there(folder / "config.json")) {
    refuse_other_place(folder, names);
    refuse_other_weights(folder, names);
    fail(ErrorCode::kNotFound, "{}: expected config.json in the folder, found none{}",
         folder.string(), unfinished_download(folder));
  }
  refuse_other_weights(folder, names);
  refuse_other_safetensors(folder, names);
  fail(ErrorCode::kNotFound,
       "{}: expected model.safetensors or model.safetensors.index.json beside config.json, found "
       "no weights{}",
       folder.string(), unfinished_download(folder));
}

void refuse_file(const fs::path& file) {
  refuse_lfs_pointer(MappedFile::open(file).text(), file.string());
  if (is_there(file.parent_path() / "config.json")) {
    fail(ErrorCode::kInvalidArgument,
         "{}: expected a checkpoint folder or a GGUF file, found a file of a folder; give the "
         "folder {}",
         file.string(), file.parent_path().string());
  }
  fail(ErrorCode::kInvalidArgument,
       "{}: expected a checkpoint folder or a GGUF file, found another file; give the folder that "
       "holds config.json",
       file.string());
}

}  // namespace fdllm
