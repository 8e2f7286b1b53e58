#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

// Writers of small checkpoints, good and hostile, for the tests of formats and model.
namespace fdllm::testing_files {

/// A folder that is removed with its content at the end of a test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fdllm-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The bytes of a safetensors file with this header text and data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

struct TestTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string dtype = "BF16";
  std::size_t element_bytes = 2;
};

/// A good safetensors file; the data is 1, 2, 3, ... as bytes.
inline std::string safetensors_file(const std::vector<TestTensor>& tensors) {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::size_t offset = 0;
  for (const TestTensor& tensor : tensors) {
    std::size_t bytes = tensor.element_bytes;
    for (const std::int64_t size : tensor.shape) bytes *= static_cast<std::size_t>(size);
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string data(offset, '\0');
  for (std::size_t i = 0; i < offset; ++i) data[i] = static_cast<char>(i + 1);
  return safetensors_bytes(text, data);
}

}  // namespace fdllm::testing_files
