#include <array>
#include <system_error>

#include "base/check.h"
#include "base/mapped_file.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "formats/quantized_folder.h"
#include "formats/safetensors.h"
#include "formats/unusable_folder.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

Metadata read_config(const fs::path& path) {
  return parse_hf_config(MappedFile::open(path).text(), path.filename().string());
}

class HuggingFaceFolder final : public Checkpoint {
 public:
  explicit HuggingFaceFolder(const fs::path& path)
      : path_(path),
        config_(read_checked_config(path)),
        generation_(read_generation(path / "generation_config.json")),
        store_(path) {}

  const fs::path& path() const override { return path_; }
  std::string_view format() const override { return "safetensors"; }
  const Metadata& config() const override { return config_; }
  const Metadata& generation() const override { return generation_; }
  const TensorView* find(std::string_view name) const override { return store_.find(name); }
  std::vector<std::string> names() const override { return store_.names(); }
  void prefetch(const TensorView& tensor) const override { MappedFile::prefetch(tensor.data); }
  void release(const TensorView& tensor) const override { MappedFile::release(tensor.data); }

 private:
  static Metadata read_checked_config(const fs::path& folder) {
    Metadata config = read_config(folder / "config.json");
    refuse_quantized_folder(folder, config);
    return config;
  }

  static Metadata read_generation(const fs::path& path) {
    return is_there(path) ? read_config(path) : Metadata(path.filename().string(), {});
  }

  fs::path path_;
  Metadata config_;
  Metadata generation_;
  SafetensorsStore store_;
};

/// A checkpoint format: how to recognise it and how to open it.
struct Format {
  bool (*recognises)(const fs::path&);
  std::unique_ptr<Checkpoint> (*open)(const fs::path&);
};

bool is_hugging_face_folder(const fs::path& path) {
  return is_folder(path) && is_there(path / "config.json");
}

std::unique_ptr<Checkpoint> open_hugging_face_folder(const fs::path& path) {
  return std::make_unique<HuggingFaceFolder>(path);
}

constexpr std::array kFormats = {
    Format{is_hugging_face_folder, open_hugging_face_folder},
    Format{is_gguf, open_gguf},
};

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& path) {
  if (!is_there(path)) {
    fail(ErrorCode::kNotFound, "{}: expected a checkpoint folder or a GGUF file, found nothing",
         path.string());
  }
  try {
    for (const Format& format : kFormats) {
      if (format.recognises(path)) return format.open(path);
    }
  } catch (const fs::filesystem_error& error) {
    fail(ErrorCode::kNotFound, "{}: can't be read: {}", path.string(), error.code().message());
  }
  if (is_folder(path)) refuse_folder(path);
  refuse_file(path);
}

}  // namespace fdllm
