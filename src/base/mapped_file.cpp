#include "base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mapping_table.h"

namespace fdllm {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int value() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

std::string system_text(int error) {
  return std::generic_category().message(error);
}

/// madvise() on the pages from `begin` to `end`. Only advice: that it fails harms nothing.
void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

std::uintptr_t page_size() {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

void MappedFile::prefetch(std::span<const std::byte> part) {
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  advise(begin / page_size() * page_size(), begin + part.size(), MADV_WILLNEED);
}

void MappedFile::release(std::span<const std::byte> part) {
  const std::uintptr_t page = page_size();
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  advise((begin + page - 1) / page * page, (begin + part.size()) / page * page, MADV_DONTNEED);
}

MappedFile MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.value() < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      fail(ErrorCode::kNotFound, "{}: no such file", path.string());
    }
    fail(ErrorCode::kNotFound, "{}: can't be opened: {}", path.string(), system_text(error));
  }
  struct stat status {};
  if (::fstat(file.value(), &status) != 0) {
    fail(ErrorCode::kNotFound, "{}: can't be read: {}", path.string(), system_text(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::kInvalidArgument, "{}: expected a file, found {}", path.string(),
         S_ISDIR(status.st_mode) ? "a directory" : "something else (a pipe or a device)");
  }
  if (status.st_size == 0) {
    fail(ErrorCode::kCorruptFile, "{}: the file is empty; was its download cut off?",
         path.string());
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value(), 0);
  if (address == MAP_FAILED) {
    fail(ErrorCode::kOutOfMemory, "{}: can't map {} bytes: {}", path.string(), size,
         system_text(errno));
  }
  add_mapping(address, state_of(file.value()), file.value(), path.c_str());
  MappedFile mapped;
  mapped.bytes_ = {static_cast<const std::byte*>(address), size};
  mapped.descriptor_ = file.release();
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), descriptor_(std::exchange(other.descriptor_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    remove_mapping(bytes_.data());
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string_view MappedFile::text() const {
  return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
}

}  // namespace fdllm
