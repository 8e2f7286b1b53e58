#include "base/lfs_pointer.h"

#include "base/check.h"

namespace fdllm {

void refuse_lfs_pointer(std::string_view content, std::string_view source) {
  if (!content.starts_with("version https://git-lfs.github.com/spec/")) return;
  fail(ErrorCode::kCorruptFile,
       "{}: expected the file itself, found a pointer of Git LFS; 'git lfs pull' in its folder "
       "fetches the file",
       source);
}

}  // namespace fdllm
