#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/mapped_file.h"
#include "formats/checkpoint.h"

namespace fdllm {

/// What a safetensors header says about one tensor, checked against the file.
struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;      ///< as stored: "BF16", "I64", ...
  std::optional<DType> dtype;  ///< nullopt for a dtype that this engine does not compute with
  std::vector<std::int64_t> shape;
  std::size_t begin = 0, end = 0;  ///< bytes of the file, half-open
};

/// Parses the header of a safetensors file (https://github.com/huggingface/safetensors): an
/// 8-byte little-endian length N, N bytes of JSON {name: {dtype, shape, data_offsets}}, then the
/// data. `file` is the whole file; `source` names it in messages. Entries in the order of their
/// data. As the format asks, the entries must cover the data exactly: offsets out of range,
/// overlaps, gaps and trailing bytes throw kCorruptFile, and so do a name that comes twice and a
/// size that isn't shape x dtype.
std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> file,
                                                       std::string_view source);

/// The shards of a folder, from the text of model.safetensors.index.json: tensor name -> file
/// name. Throws kCorruptFile, also where a file name would leave the folder.
std::map<std::string, std::string, std::less<>> parse_safetensors_index(std::string_view text,
                                                                        std::string_view source);

/// The tensors of model.safetensors, or of the shards that model.safetensors.index.json names.
class SafetensorsStore {
 public:
  /// Throws kNotFound where the folder has neither, or a shard or a tensor of a shard is missing.
  explicit SafetensorsStore(const std::filesystem::path& folder);

  /// nullptr where there is none; kUnsupported where its dtype is none of F32, F16, BF16.
  const TensorView* find(std::string_view name) const;
  std::vector<std::string> names() const;  ///< of all dtypes, sorted

 private:
  struct Stored {
    TensorView view;
    std::string problem;  ///< why find() refuses it
  };

  void add_file(const std::filesystem::path& path);

  std::vector<MappedFile> files_;
  std::map<std::string, Stored, std::less<>> tensors_;
};

}  // namespace fdllm
