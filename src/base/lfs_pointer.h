#pragma once
#include <string_view>

namespace fdllm {

/// Throws kCorruptFile, with what to do, where `content` is the small text that Git LFS leaves in
/// place of a large file (a clone without git-lfs). `source` names the file.
void refuse_lfs_pointer(std::string_view content, std::string_view source);

}  // namespace fdllm
