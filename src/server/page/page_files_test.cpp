#include "server/page/page_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "fastdllm/options.h"

namespace fdllm {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(FASTDLLM_SOURCE_DIR) / "src" / "server" / "page";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> embedded_names() {
  std::set<std::string> names;
  for (const PageFile& file : page_files()) {
    const std::string path(file.path);
    names.insert(path == "/" ? "index.html" : path.substr(std::string("/page/").size()));
  }
  return names;
}

TEST(PageFiles, AreTheFilesOfTheFolderByteForByte) {
  std::set<std::string> expected;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".html" || extension == ".css" || extension == ".js" || extension == ".svg") {
      expected.insert(entry.path().filename().string());
    }
  }
  EXPECT_EQ(embedded_names(), expected);
  for (const PageFile& file : page_files()) {
    const std::string name =
        file.path == "/" ? "index.html" : std::string(file.path.substr(file.path.rfind('/') + 1));
    EXPECT_TRUE(file.bytes == read(kFolder / name)) << name;
    EXPECT_FALSE(file.content_type.empty()) << name;
  }
}

TEST(PageFiles, NameNothingThatIsNotEmbedded) {
  const std::regex reference(R"re((?:src|href)="([^"#]+)"|from "\./([^"]+)")re");
  const std::set<std::string> names = embedded_names();
  int references = 0;
  for (const PageFile& file : page_files()) {
    const std::string text(file.bytes);
    for (std::sregex_iterator match(text.begin(), text.end(), reference), end; match != end;
         ++match) {
      std::string name = (*match)[1].matched ? (*match)[1].str() : "/page/" + (*match)[2].str();
      ASSERT_EQ(name.rfind("/page/", 0), 0U) << name;
      EXPECT_TRUE(names.contains(name.substr(6))) << file.path << " names " << name;
      ++references;
    }
  }
  EXPECT_GT(references, 20);
}

TEST(PageFiles, NameNoOptionInTheForm) {
  // It is made of what /openapi.json says: `rule` and `preset` apart, no option is known by name.
  const std::string settings = read(kFolder / "settings.js");
  for (const GenerateOption& option : generate_options()) {
    if (option.name == "preset" || option.name == "alg") continue;
    for (const std::string& quoted : {"\"" + option.field() + "\"", "." + option.field()}) {
      EXPECT_EQ(settings.find(quoted), std::string::npos) << option.name;
    }
  }
}

TEST(PageFiles, HaveNothingInlineAndNoMarkupFromText) {
  for (const PageFile& file : page_files()) {
    for (const char* forbidden : {" style=\"", "<style", " onclick=", "innerHTML", "outerHTML",
                                  "insertAdjacentHTML", "document.write", "eval(", "https://"}) {
      EXPECT_EQ(file.bytes.find(forbidden), std::string_view::npos) << file.path << forbidden;
    }
  }
}

}  // namespace
}  // namespace fdllm
