#include "engine/hub_cache.h"

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint_test_files.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;
using testing_files::TemporaryFolder;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

TEST(HubCacheFolder, IsHuggingFaces) {
  HubEnvironment environment;
  environment.home = "/home/me";
  EXPECT_EQ(hub_cache_folder(environment), "/home/me/.cache/huggingface/hub");
  environment.xdg_cache_home = "/cache";
  EXPECT_EQ(hub_cache_folder(environment), "/cache/huggingface/hub");
  environment.hf_home = "~/hf";
  EXPECT_EQ(hub_cache_folder(environment), "/home/me/hf/hub");
  environment.huggingface_hub_cache = "/old";
  EXPECT_EQ(hub_cache_folder(environment), "/old");
  environment.hf_hub_cache = "~";
  EXPECT_EQ(hub_cache_folder(environment), "/home/me");
}

TEST(HubName, Parses) {
  const auto name = parse_hub_name("GSAI-ML/LLaDA-8B-Instruct");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->repository, "GSAI-ML/LLaDA-8B-Instruct");
  EXPECT_EQ(name->revision, "main");
  EXPECT_EQ(name->text(), "GSAI-ML/LLaDA-8B-Instruct");
  EXPECT_EQ(parse_hub_name("a/b@refs/pr/1")->revision, "refs/pr/1");
  EXPECT_EQ(parse_hub_name("a/b@v1.0")->text(), "a/b@v1.0");
  for (const char* text :
       {"", "name", "a/b/c", "/a/b", "../b", "a/..", "./b", "a/", "/b", "a/b@", "a/b@../../x",
        "a/b@/etc", "a b/c", "https://huggingface.co/a/b", "a\\b", "~/b"}) {
    EXPECT_FALSE(parse_hub_name(text)) << text;
  }
}

class HubCache : public testing::Test {
 protected:
  /// As Hugging Face's tools lay it out: a blob and a link to it.
  void add(const std::string& repository, const std::string& commit, const std::string& file,
           const std::string& content = "{}") const {
    const fs::path folder = folder_.path() / repository;
    fs::create_directories(folder / "blobs");
    fs::create_directories(folder / "snapshots" / commit);
    folder_.write(repository + "/blobs/" + file, content);
    fs::create_symlink("../../blobs/" + file, folder / "snapshots" / commit / file);
  }
  void refer(const std::string& repository, const std::string& ref,
             const std::string& commit) const {
    fs::create_directories((folder_.path() / repository / "refs" / ref).parent_path());
    folder_.write(repository + "/refs/" + ref, commit);
  }
  fs::path find(const std::string& name, HubFiles needed = HubFiles::kModel) const {
    return find_hub_model(folder_.path(), *parse_hub_name(name), needed);
  }
  std::string error_of(const std::string& name) const {
    try {
      find(name);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotFound);
      return error.what();
    }
    return "no error";
  }
  void expect_error(const std::string& name, std::initializer_list<std::string> parts) const {
    const std::string message = error_of(name);
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nexpected: " << part;
    }
  }

  TemporaryFolder folder_;
};

TEST_F(HubCache, FindsARevision) {
  expect_error("a/b",
               {"a/b: found no such file or folder", folder_.path().string(), "'hf download a/b'"});
  expect_error("a/b@v1", {"'hf download a/b --revision v1'"});
  add("models--a--b", kCommit, "config.json");
  add("models--a--b", kCommit, "model.safetensors", "x");
  expect_error("a/b", {"expected the revision 'main'", kCommit, "give a/b@REVISION"});
  const fs::path snapshot = folder_.path() / "models--a--b" / "snapshots" / kCommit;
  EXPECT_EQ(find("a/b@" + kCommit), snapshot);
  refer("models--a--b", "main", kCommit + "\n");
  EXPECT_EQ(find("a/b"), snapshot);
  refer("models--a--b", "pr/1", kCommit);
  EXPECT_EQ(find("a/b@pr/1"), snapshot);
  expect_error("a/b@v2", {"expected the revision 'v2'", "main, pr/1", "--revision v2"});
  refer("models--a--b", "evil", "../../../..");
  expect_error("a/b@evil", {"expected the revision 'evil'"});
  refer("models--a--b", "empty", "");
  expect_error("a/b@empty", {"expected the revision 'empty'"});
}

TEST_F(HubCache, UnfinishedDownloads) {
  refer("models--a--b", "main", kCommit);
  add("models--a--b", kCommit, "tokenizer.json");
  add("models--a--b", kCommit, "config.json");
  expect_error("a/b", {"holds no weights of it", "'hf download a/b' fetches the rest"});
  EXPECT_NO_THROW(find("a/b", HubFiles::kTokenizer));
  add("models--a--b", kCommit, "model.safetensors.index.json",
      R"({"weight_map": {"x": "1.safetensors", "y": "2.safetensors"}})");
  add("models--a--b", kCommit, "1.safetensors", "x");
  folder_.write("models--a--b/blobs/0123.incomplete", "");
  expect_error("a/b", {"not complete", "lacks 2.safetensors", "1 unfinished file", "hf download"});
  fs::create_symlink("../../blobs/nowhere",
                     folder_.path() / "models--a--b/snapshots" / kCommit / "2.safetensors");
  expect_error("a/b", {"lacks 2.safetensors"});
}

TEST_F(HubCache, AGgufFile) {
  refer("models--a--b-GGUF", "main", kCommit);
  add("models--a--b-GGUF", kCommit, "b-Q4_0.gguf", "GGUF");
  EXPECT_EQ(find("a/b-GGUF").filename(), "b-Q4_0.gguf");
  add("models--a--b-GGUF", kCommit, "b-Q8_0.gguf", "GGUF");
  EXPECT_EQ(find("a/b-GGUF").filename(), kCommit) << "the choice is not ours";
}

TEST_F(HubCache, Lists) {
  add("models--a--b", kCommit, "config.json");
  add("models--a--b", std::string(40, 'f'), "config2.json");
  refer("models--a--b", "main", kCommit);
  add("models--c--d", kCommit, "config.json");
  fs::create_directories(folder_.path() / "datasets--a--b" / "snapshots" / kCommit);
  folder_.write("version.txt", "1");
  std::vector<std::string> names;
  for (const HubName& name : list_hub_models(folder_.path())) names.push_back(name.text());
  EXPECT_EQ(names,
            (std::vector<std::string>{"a/b", "a/b@" + std::string(40, 'f'), "c/d@" + kCommit}));
  EXPECT_TRUE(list_hub_models(folder_.path() / "nowhere").empty());
}

}  // namespace
}  // namespace fdllm
