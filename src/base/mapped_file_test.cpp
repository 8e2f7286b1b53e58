#include "base/mapped_file.h"

#include <chrono>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fastdllm/error.h"

#include "base/mapping_table.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "fdllm-mapped-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  static void expect_error(const fs::path& path, ErrorCode code, const std::string& part) {
    try {
      MappedFile::open(path);
      FAIL() << "expected an error with: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(path.filename().string()), std::string::npos);
    }
  }

  fs::path folder_;
};

TEST_F(MappedFileTest, MapsTheBytes) {
  const std::string content("a\0b\xff", 4);
  const MappedFile file = MappedFile::open(write("data", content));
  EXPECT_EQ(file.text(), content);
  EXPECT_EQ(file.bytes().size(), 4u);
  EXPECT_EQ(file.bytes()[3], std::byte{0xff});
}

TEST_F(MappedFileTest, ChangesAreNoticed) {
  const fs::path path = write("data", "before");
  const auto is_changed = [] {
    try {
      check_mapped_files();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorruptFile);
      return std::string(error.what()).find("data: the file was changed") != std::string::npos;
    }
    return false;
  };
  {
    const MappedFile file = MappedFile::open(path);
    EXPECT_FALSE(is_changed());
    write("other", "another");
    fs::rename(folder_ / "other", path);
    EXPECT_FALSE(is_changed()) << "the mapped file is still there";
  }
  {
    const MappedFile file = MappedFile::open(path);
    fs::resize_file(path, 3);
    EXPECT_TRUE(is_changed());
  }
  EXPECT_FALSE(is_changed()) << "it is no longer mapped";
  const MappedFile file = MappedFile::open(path);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_TRUE(is_changed());
}

TEST_F(MappedFileTest, AddressesHaveTheNameOfTheirFile) {
  const fs::path path = write("data", "content");
  const std::byte* begin = nullptr;
  {
    MappedFile first = MappedFile::open(path);
    const MappedFile file = std::move(first);
    begin = file.bytes().data();
    EXPECT_STREQ(mapped_file_at(begin), path.c_str());
    EXPECT_STREQ(mapped_file_at(begin + 6), path.c_str());
    EXPECT_EQ(mapped_file_at(begin + 7), nullptr);
    EXPECT_EQ(mapped_file_at(nullptr), nullptr);
  }
  EXPECT_EQ(mapped_file_at(begin), nullptr);
}

TEST_F(MappedFileTest, SurvivesMoves) {
  MappedFile first = MappedFile::open(write("first", "one"));
  MappedFile second = std::move(first);
  EXPECT_EQ(second.text(), "one");
  MappedFile third = MappedFile::open(write("third", "three"));
  third = std::move(second);
  EXPECT_EQ(third.text(), "one");
}

TEST_F(MappedFileTest, OutlivesTheDeletedFile) {
  const fs::path path = write("gone", "still here");
  const MappedFile file = MappedFile::open(path);
  fs::remove(path);
  EXPECT_EQ(file.text(), "still here");
}

TEST_F(MappedFileTest, ReleasedPagesAreReadAgain) {
  std::string content(100000, 'a');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 % 251);
  const MappedFile file = MappedFile::open(write("pages", content));
  const auto resident = [&] {  // pages of the file that this process has mapped
    std::ifstream smaps("/proc/self/smaps");
    std::string line;
    bool found = false;
    while (std::getline(smaps, line)) {
      if (line.find(folder_.string()) != std::string::npos) found = true;
      if (found && line.starts_with("Rss:")) return std::stol(line.substr(4));
    }
    return -1L;
  };
  const std::span<const std::byte> inner = file.bytes().subspan(5000, 90000);
  MappedFile::prefetch(inner);
  EXPECT_EQ(file.text(), content);
  const long before = resident();
  MappedFile::release(inner);
  if (before >= 0) {
    EXPECT_LT(resident(), before / 2);
  }
  EXPECT_EQ(file.text(), content);
  MappedFile::prefetch({});
  MappedFile::release(file.bytes().first(10));
  EXPECT_EQ(file.text(), content);
}

TEST_F(MappedFileTest, ClearErrors) {
  expect_error(folder_ / "missing", ErrorCode::kNotFound, "no such file");
  expect_error(write("file", "x") / "below", ErrorCode::kNotFound, "no such file");
  expect_error(folder_, ErrorCode::kInvalidArgument, "found a directory");
  expect_error(write("empty", ""), ErrorCode::kCorruptFile, "the file is empty");
}

TEST_F(MappedFileTest, APipeDoesNotBlock) {
  const fs::path path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expect_error(path, ErrorCode::kInvalidArgument, "expected a file");
}

TEST_F(MappedFileTest, ALoopOfLinks) {
  const fs::path path = folder_ / "loop";
  fs::create_symlink(path, path);
  expect_error(path, ErrorCode::kNotFound, "can't be opened");
}

TEST_F(MappedFileTest, NoPermission) {
  const fs::path path = write("secret", "x");
  fs::permissions(path, fs::perms::none);
  // Root may read everything, so it is somebody else for a moment.
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0) {
    fs::permissions(folder_, fs::perms::others_exec | fs::perms::others_read,
                    fs::perm_options::add);
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  expect_error(path, ErrorCode::kNotFound, "Permission denied");
  ASSERT_EQ(::seteuid(user), 0);
}

}  // namespace
}  // namespace fdllm
