#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace fdllm {

/// A file mapped read-only into memory; unmapped on destruction. The file must not be shortened
/// while it is mapped (reading past the new end would kill the process, as with any mapping).
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
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace fdllm
