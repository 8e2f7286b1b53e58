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
#include "formats/checkpoint.h"

namespace fdllm {

inline constexpr std::size_t kGgufAlignment = 32;  ///< where the file names none

/// The kinds of metadata values, with the numbers that the format gives them.
enum class GgufKind : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64,
};

/// The number that the format gives a tensor type.
std::uint32_t gguf_type(DType type);
/// nullopt for types that this engine doesn't compute with.
std::optional<DType> dtype_of_gguf(std::uint32_t type);

/// What a GGUF header says about one tensor, checked against the file.
struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;           ///< the format's number
  std::optional<DType> dtype;       ///< nullopt: a type that this engine doesn't compute with
  std::vector<std::int64_t> shape;  ///< row-major, that is in the reverse of the file's order
  std::size_t begin = 0, end = 0;   ///< bytes of the file, half-open; equal where dtype is nullopt
};

struct GgufHeader {
  std::uint32_t version = 0;
  std::size_t alignment = kGgufAlignment;
  /// As in the file; arrays of numbers with a fraction are checked and left out.
  std::map<std::string, Metadata::Value, std::less<>> values;
  std::vector<GgufTensor> tensors;
};

/// Parses the header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md),
/// version 2 or 3, little endian: magic, version, counts, metadata, tensor descriptions, then the
/// data. `file` is the whole file; `source` names it in messages. Throws kCorruptFile or
/// kUnsupported. The memory it takes is bounded by a small multiple of the header's bytes.
GgufHeader parse_gguf_header(std::span<const std::byte> file, std::string_view source);

/// Whether the file begins as a GGUF file does.
bool is_gguf(const std::filesystem::path& path);

/// Opens a GGUF file: config() is its metadata, generation() is empty. find() throws kUnsupported
/// for a tensor of a type that this engine doesn't compute with.
std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path);

}  // namespace fdllm
