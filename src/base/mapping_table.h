#pragma once
#include <cstddef>
#include <cstdint>

namespace fdllm {

/// A file as it was when it was mapped.
struct MappedState {
  std::uint64_t device = 0, inode = 0;
  std::int64_t bytes = 0;
  std::int64_t modified = 0;  ///< nanoseconds since 1970

  bool operator==(const MappedState&) const = default;
};

/// What an open file is now; all zero where the system doesn't tell.
MappedState state_of(int descriptor);

/// The files that are mapped now. A program needs them in its handler of SIGBUS: reading a page
/// that its file no longer has (it was shortened, its disk is gone) ends a process, and only there
/// can be said which file it was. Holds some hundred mappings, further ones have no name.
/// Thread-safe.
void add_mapping(const void* begin, const MappedState& state, int descriptor,
                 const char* name) noexcept;
void remove_mapping(const void* begin) noexcept;

/// Throws kCorruptFile where a file that is mapped now was written to since, so that its bytes may
/// be of two versions. Another file put in its place (as downloads and updates do) changes nothing.
void check_mapped_files();

/// The name of the mapped file that has `address`, nullptr where none has. May be called in a
/// signal handler.
const char* mapped_file_at(const void* address) noexcept;

}  // namespace fdllm
