#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace fdllm {

/// A file mapped read-only into memory; unmapped on destruction. Reading past the end of a file
/// that was shortened while it is mapped raises SIGBUS, as with any mapping: mapping_table.h names
/// the file, and tells whether one was changed.
class MappedFile {
 public:
  /// Throws kNotFound where the file is missing or can't be read, kInvalidArgument where it is no
  /// regular file (a directory, pipe or device), and kCorruptFile where it is empty.
  static MappedFile open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const;

  /// Asks the system to read a part of a mapped file's bytes ahead.
  static void prefetch(std::span<const std::byte> part);
  /// Lets go of the memory of the pages that lie wholly in a part of a mapped file's bytes: they
  /// stay in the system's cache and are mapped again when they are read.
  static void release(std::span<const std::byte> part);

 private:
  MappedFile() = default;

  std::span<const std::byte> bytes_;
  int descriptor_ = -1;
};

}  // namespace fdllm
