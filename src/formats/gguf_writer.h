#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "formats/gguf.h"

namespace fdllm {

/// A metadata value to be written; its alternative decides the kind in the file.
using GgufValue = std::variant<bool, std::uint32_t, float, std::string, std::vector<std::int32_t>,
                               std::vector<std::string>>;

/// Takes the next bytes of a tensor.
using GgufSink = std::function<void(std::span<const std::byte>)>;

/// Writes a GGUF file (version 3): metadata and tensors in the order in which they were added. The
/// data of a tensor is asked for when it is written, so a file may be larger than memory.
class GgufWriter {
 public:
  void add(std::string key, GgufValue value);
  /// `shape` is row-major; `write_data` gives all its bytes to the sink, in order.
  void add_tensor(std::string name, DType dtype, std::vector<std::int64_t> shape,
                  std::function<void(const GgufSink&)> write_data);

  /// Bytes of data of all tensors, without padding.
  std::uint64_t data_bytes() const;

  void write(std::ostream& out) const;
  /// Writes beside `path` and renames when the file is complete. Throws kNotFound where the file
  /// can't be made, kInternal where the disk refuses bytes.
  void write(const std::filesystem::path& path) const;

 private:
  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::function<void(const GgufSink&)> write_data;
    std::uint64_t bytes() const;
  };

  std::string header() const;

  std::vector<std::pair<std::string, GgufValue>> values_;
  std::vector<Tensor> tensors_;
};

}  // namespace fdllm
