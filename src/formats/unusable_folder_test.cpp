#include "formats/unusable_folder.h"

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint.h"
#include "formats/checkpoint_test_files.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;
using testing_files::safetensors_file;
using testing_files::TemporaryFolder;

class UnusableFolder : public testing::Test {
 protected:
  static void expect_refused(const fs::path& path, ErrorCode code,
                             std::initializer_list<std::string> parts) {
    try {
      open_checkpoint(path);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      for (const std::string& part : parts) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
            << error.what() << "\nexpected: " << part;
      }
    }
  }
  void expect_refused(ErrorCode code, std::initializer_list<std::string> parts) const {
    expect_refused(folder_.path(), code, parts);
  }
  fs::path make(const std::string& name) const {
    fs::create_directories(folder_.path() / name);
    return folder_.path() / name;
  }

  TemporaryFolder folder_;
};

TEST_F(UnusableFolder, Adapters) {
  folder_.write("adapter_config.json", R"({"base_model_name_or_path": "GSAI-ML/LLaDA-8B-Base"})");
  folder_.write("adapter_model.safetensors", safetensors_file({{"a", {1}}}));
  expect_refused(ErrorCode::kUnsupported,
                 {"found an adapter", "'GSAI-ML/LLaDA-8B-Base'", "merge_and_unload"});
  folder_.write("config.json", R"({"model_type": "llada"})");
  expect_refused(ErrorCode::kUnsupported, {"found an adapter"});
  folder_.write("adapter_config.json", "{");
  expect_refused(ErrorCode::kUnsupported, {"found an adapter", "its base model"});
}

TEST_F(UnusableFolder, PipelinesOfDiffusers) {
  folder_.write("model_index.json", "{}");
  make("unet");
  folder_.write("unet/config.json", "{}");
  expect_refused(ErrorCode::kUnsupported, {"a pipeline of diffusers"});
}

TEST_F(UnusableFolder, OtherWeights) {
  folder_.write("config.json", "{}");
  folder_.write("pytorch_model-00001-of-00002.bin", "x");
  folder_.write("pytorch_model-00002-of-00002.bin", "x");
  expect_refused(ErrorCode::kUnsupported, {"expected safetensors weights",
                                           "pytorch_model-00002-of-00002.bin", "save_pretrained"});
  folder_.write("consolidated.00.pth", "x");
  expect_refused(ErrorCode::kUnsupported, {"consolidated.00.pth"});
  folder_.write("model-Q4_0.gguf", "x");
  expect_refused(ErrorCode::kNotFound, {"found GGUF files", "model-Q4_0.gguf"});
}

TEST_F(UnusableFolder, ShardsWithoutAnIndex) {
  folder_.write("config.json", "{}");
  folder_.write("model-00001-of-00002.safetensors", safetensors_file({{"a", {1}}}));
  expect_refused(ErrorCode::kNotFound, {"model-00001-of-00002.safetensors without an index"});
}

TEST_F(UnusableFolder, TheFolderAboveOrAFileInIt) {
  const fs::path below = make("LLaDA-8B-Instruct");
  folder_.write("LLaDA-8B-Instruct/config.json", "{}");
  expect_refused(ErrorCode::kNotFound, {"found one below; give " + below.string()});
  const fs::path shard = folder_.write("LLaDA-8B-Instruct/model.safetensors", "x");
  expect_refused(shard, ErrorCode::kInvalidArgument, {"give the folder " + below.string()});
  const fs::path repository = make("models--a--b");
  const fs::path snapshot = make("models--a--b/snapshots/0123");
  folder_.write("models--a--b/snapshots/0123/config.json", "{}");
  expect_refused(repository, ErrorCode::kNotFound, {"give " + snapshot.string()});
}

TEST_F(UnusableFolder, UnfinishedDownloads) {
  folder_.write("config.json", "{}");
  make(".cache/huggingface/download");
  folder_.write(".cache/huggingface/download/x.incomplete", "");
  expect_refused(ErrorCode::kNotFound, {"found no weights", "not complete (1 unfinished file)"});
  folder_.write("model.safetensors.index.json",
                R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  folder_.write("2.safetensors.part", "");
  expect_refused(ErrorCode::kNotFound, {"expected the shard '1.safetensors'",
                                        "(2 of 2 are missing)", "(2 unfinished files)"});
}

TEST_F(UnusableFolder, PointersOfGitLfs) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4\n";
  folder_.write("config.json", "{}");
  folder_.write("model.safetensors", pointer);
  expect_refused(ErrorCode::kCorruptFile, {"model.safetensors: ", "a pointer of Git LFS"});
  expect_refused(folder_.write("model.gguf", pointer), ErrorCode::kCorruptFile,
                 {"a pointer of Git LFS"});
  folder_.write("config.json", pointer);
  expect_refused(ErrorCode::kCorruptFile, {"config.json: ", "a pointer of Git LFS"});
}

TEST_F(UnusableFolder, QuantizedWeights) {
  folder_.write("model.safetensors", safetensors_file({{"a", {1}}}));
  const auto refused = [&](const std::string& config, const std::string& key,
                           const std::string& method) {
    folder_.write("config.json", config);
    expect_refused(ErrorCode::kUnsupported,
                   {"config.json: '" + key + "'", method, "--weights int8", "GGUF"});
  };
  for (const std::string method :
       {"gptq", "awq", "fp8", "bitsandbytes", "compressed-tensors", "hqq", "torchao"}) {
    refused(R"({"quantization_config": {"bits": 4, "quant_method": ")" + method + R"("}})",
            "quantization_config", "'" + method + "' with 4 bits");
  }
  refused(R"({"quantization": {"group_size": 64, "bits": 4}})", "quantization",
          "'mlx' with 4 bits");
  refused(R"({"quantization_config": {"config_groups": {}, "format": "x"}})", "quantization_config",
          "'an unnamed method'");
  refused(R"({"compression_config": {"quant_method": "sparseml"}})", "compression_config",
          "'sparseml'");
  folder_.write("config.json", R"({"quantization_config": null})");
  EXPECT_NO_THROW(open_checkpoint(folder_.path()));
  folder_.write("quantize_config.json", R"({"bits": 4})");
  expect_refused(ErrorCode::kUnsupported, {"quantize_config.json, which GPTQ writes"});
}

}  // namespace
}  // namespace fdllm
