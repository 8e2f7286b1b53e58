#pragma once
#include <filesystem>
#include <string>

namespace fdllm {

/// Throws kNotFound (kUnsupported for what is there but is no model that this engine reads) for a
/// path that is no Hugging Face folder with config.json and safetensors weights and no GGUF file,
/// saying what it looks like instead and what to do: an adapter, a pipeline of diffusers, weights
/// in other files, a folder above or beside the right one, a download that isn't complete, ...
[[noreturn]] void refuse_folder(const std::filesystem::path& folder);
/// The same for a file.
[[noreturn]] void refuse_file(const std::filesystem::path& file);

/// "; its download is not complete (3 files)", or nothing: by the files that downloaders leave
/// behind while they work.
std::string unfinished_download(const std::filesystem::path& folder);

}  // namespace fdllm
