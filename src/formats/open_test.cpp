#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint.h"
#include "formats/checkpoint_test_files.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;
using testing_files::safetensors_bytes;
using testing_files::safetensors_file;
using testing_files::TemporaryFolder;

class OpenCheckpoint : public testing::Test {
 protected:
  static void expect_error(const fs::path& path, ErrorCode code, const std::string& part) {
    try {
      open_checkpoint(path);
      FAIL() << "expected an error with: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  void expect_error(ErrorCode code, const std::string& part) const {
    expect_error(folder_.path(), code, part);
  }

  TemporaryFolder folder_;
};

TEST_F(OpenCheckpoint, SingleFile) {
  folder_.write("config.json", R"({"model_type": "llada"})");
  folder_.write("generation_config.json", R"({"eos_token_id": [3, 4]})");
  folder_.write("model.safetensors", safetensors_file({{"b", {2, 3}}, {"a", {1}, "F32", 4}}));
  const auto checkpoint = open_checkpoint(folder_.path());
  EXPECT_EQ(checkpoint->path(), folder_.path());
  EXPECT_EQ(checkpoint->format(), "safetensors");
  EXPECT_EQ(checkpoint->config().text("model_type"), "llada");
  EXPECT_EQ(checkpoint->generation().integers("eos_token_id"), (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"a", "b"}));
  const TensorView* tensor = checkpoint->find("b");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->name, "b");
  EXPECT_EQ(tensor->dtype, DType::kBF16);
  EXPECT_EQ(tensor->file, "model.safetensors");
  ASSERT_EQ(tensor->data.size(), 12u);
  EXPECT_EQ(tensor->data[0], std::byte{1});
  EXPECT_EQ(tensor->data[11], std::byte{12});
  EXPECT_EQ(checkpoint->find("c"), nullptr);
}

TEST_F(OpenCheckpoint, GenerationConfigIsOptional) {
  folder_.write("config.json", "{}");
  folder_.write("model.safetensors", safetensors_file({{"a", {1}}}));
  EXPECT_TRUE(open_checkpoint(folder_.path())->generation().values().empty());
  folder_.write("generation_config.json", "{");
  expect_error(ErrorCode::kCorruptFile, "generation_config.json");
}

TEST_F(OpenCheckpoint, Shards) {
  folder_.write("config.json", "{}");
  folder_.write("model-1.safetensors", safetensors_file({{"a", {1}}, {"extra", {1}}}));
  folder_.write("model-2.safetensors", safetensors_file({{"b", {2}}}));
  folder_.write("model.safetensors.index.json",
                R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})");
  const auto checkpoint = open_checkpoint(folder_.path());
  ASSERT_NE(checkpoint->find("a"), nullptr);
  ASSERT_NE(checkpoint->find("b"), nullptr);
  EXPECT_EQ(checkpoint->find("a")->file, "model-1.safetensors");
  EXPECT_EQ(checkpoint->find("b")->file, "model-2.safetensors");
  EXPECT_EQ(checkpoint->find("b")->data.size(), 4u);
}

TEST_F(OpenCheckpoint, DamagedShards) {
  folder_.write("config.json", "{}");
  folder_.write("model.safetensors.index.json",
                R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  folder_.write("1.safetensors", safetensors_file({{"a", {1}}}));
  expect_error(ErrorCode::kNotFound, "expected the shard '2.safetensors'");
  folder_.write("2.safetensors", safetensors_file({{"other", {1}}}));
  expect_error(ErrorCode::kNotFound,
               "2.safetensors: expected the tensor 'b', as model.safetensors.index.json says");
  folder_.write("2.safetensors", safetensors_file({{"a", {1}}, {"b", {1}}}));
  expect_error(ErrorCode::kCorruptFile, "2.safetensors: 'a': the tensor is in 1.safetensors too");
  folder_.write("2.safetensors", safetensors_file({{"b", {1}}}).substr(0, 60));
  expect_error(ErrorCode::kCorruptFile, "2.safetensors: header length");
  folder_.write("2.safetensors", "");
  expect_error(ErrorCode::kCorruptFile, "2.safetensors: the file is empty");
  fs::remove(folder_.path() / "2.safetensors");
  fs::create_directory(folder_.path() / "2.safetensors");
  expect_error(ErrorCode::kInvalidArgument, "found a directory");
}

TEST_F(OpenCheckpoint, SwappedShards) {
  folder_.write("config.json", "{}");
  folder_.write("model.safetensors.index.json",
                R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  folder_.write("1.safetensors", safetensors_file({{"b", {1}}}));
  folder_.write("2.safetensors", safetensors_file({{"a", {1}}}));
  expect_error(ErrorCode::kNotFound, "1.safetensors: expected the tensor 'a'");
}

TEST_F(OpenCheckpoint, MissingFiles) {
  expect_error(folder_.path() / "nowhere", ErrorCode::kNotFound, "found nothing");
  expect_error(ErrorCode::kNotFound, "found an empty folder");
  folder_.write("README.md", "# A model");
  expect_error(ErrorCode::kNotFound, "expected config.json");
  folder_.write("config.json", "{}");
  expect_error(ErrorCode::kNotFound, "expected model.safetensors or");
  folder_.write("model.safetensors", "");
  expect_error(ErrorCode::kCorruptFile, "model.safetensors: the file is empty");
  folder_.write("config.json", "{\"a\":");
  expect_error(ErrorCode::kCorruptFile, "config.json: byte");
}

TEST_F(OpenCheckpoint, FilesThatAreNoFolder) {
  expect_error(folder_.write("model.gguf", "GGUF\x03"), ErrorCode::kCorruptFile,
               "model.gguf: version");
  expect_error(folder_.write("other.bin", "whatever"), ErrorCode::kInvalidArgument,
               "expected a checkpoint folder or a GGUF file, found another file");
}

TEST_F(OpenCheckpoint, LoopOfLinks) {
  folder_.write("config.json", "{}");
  fs::create_symlink("model.safetensors", folder_.path() / "model.safetensors");
  expect_error(ErrorCode::kNotFound, "");
}

TEST_F(OpenCheckpoint, OtherDtypesAreRefusedOnlyWhenAskedFor) {
  folder_.write("config.json", "{}");
  folder_.write("model.safetensors",
                safetensors_file({{"ids", {2}, "I64", 8}, {"new", {4}, "F4", 1}, {"w", {1}}}));
  const auto checkpoint = open_checkpoint(folder_.path());
  EXPECT_EQ(checkpoint->names().size(), 3u);
  EXPECT_NE(checkpoint->find("w"), nullptr);
  for (const char* name : {"ids", "new"}) {
    try {
      checkpoint->find(name);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_NE(std::string(error.what()).find("expected dtype F32, F16 or BF16, found"),
                std::string::npos);
    }
  }
}

// Some writers (MLX) pad nothing, so that the data begins anywhere.
TEST_F(OpenCheckpoint, DataAtEveryAddress) {
  folder_.write("config.json", "{}");
  const std::string text = R"({"f": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},)"
                           R"("h": {"dtype": "F16", "shape": [1], "data_offsets": [8, 10]},)"
                           R"("b": {"dtype": "BF16", "shape": [1], "data_offsets": [10, 12]}})";
  for (std::size_t spaces = 0; spaces < 16; ++spaces) {
    folder_.write("model.safetensors",
                  safetensors_bytes(text + std::string(spaces, ' '), "0123456789ab"));
    const auto checkpoint = open_checkpoint(folder_.path());
    const auto data = [&](const char* name) {
      const auto bytes = checkpoint->find(name)->data;
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    EXPECT_EQ(data("f"), "01234567");
    EXPECT_EQ(data("h"), "89");
    EXPECT_EQ(data("b"), "ab");
  }
}

}  // namespace
}  // namespace fdllm
