#include "cli/bench/output_folder.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace fdllm::cli {

OutputFolder::OutputFolder(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error || !std::filesystem::is_directory(path_, error)) {
    fail(ErrorCode::kInvalidArgument, "{}: cannot be made a folder{}{}", path_, error ? ": " : "",
         error ? error.message() : "");
  }
}

void OutputFolder::write(const std::string& name, std::string_view content) const {
  if (path_.empty()) return;
  const std::filesystem::path path = std::filesystem::path(path_) / name;
  const std::filesystem::path part = path.string() + ".part";
  {
    std::ofstream stream(part, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.close();
    if (!stream) fail(ErrorCode::kNotFound, "{}: cannot be written", part.string());
  }
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) fail(ErrorCode::kNotFound, "{}: {}", path.string(), error.message());
}

}  // namespace fdllm::cli
