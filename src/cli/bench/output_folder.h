#pragma once
#include <string>
#include <string_view>

namespace fdllm::cli {

/// A folder that a command's files go to; none where its name is empty.
class OutputFolder {
 public:
  /// Makes the folder. Throws kInvalidArgument where that fails: before the work, not after it.
  explicit OutputFolder(std::string path);

  bool exists() const { return !path_.empty(); }
  /// Writes a file as a whole or not at all; nothing without a folder. Throws kNotFound.
  void write(const std::string& name, std::string_view content) const;

 private:
  std::string path_;
};

}  // namespace fdllm::cli
