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
#include <variant>
#include <vector>

#include "base/dtype.h"

namespace fdllm {

/// A stored tensor, row-major, in place in a mapped file at any address: some writers align
/// nothing, so that elements are only to be copied out (quant/row.h). Lives as long as its
/// Checkpoint.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
  std::string file;  ///< for messages

  std::int64_t elements() const;
};

/// "[4096, 12288]"
std::string shape_text(std::span<const std::int64_t> shape);

/// Flat key-value metadata of a checkpoint (config.json, or GGUF's header). Nested objects are
/// flattened with dots ("rope_scaling.factor"). Every accessor throws kCorruptFile naming the
/// file, the key, what was expected and what was found.
class Metadata {
 public:
  using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string,
                             std::vector<std::int64_t>, std::vector<std::string>>;

  Metadata() = default;
  Metadata(std::string source, std::map<std::string, Value, std::less<>> values)
      : source_(std::move(source)), values_(std::move(values)) {}

  const std::string& source() const { return source_; }
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

  /// Present and not null.
  bool has(std::string_view key) const;
  // Absent or null gives nullopt; another type throws. An integral double is an integer.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  /// A single integer counts as a list of one.
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;

  // The same, but absent or null throws too.
  std::int64_t required_integer(std::string_view key) const;
  /// In [low, high], else throws.
  std::int64_t required_integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::string required_text(std::string_view key) const;

 private:
  std::string source_;
  std::map<std::string, Value, std::less<>> values_;
};

/// A checkpoint on disk: names -> tensor views, and metadata. Immutable and thread-safe.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual const std::filesystem::path& path() const = 0;
  /// "safetensors" or "gguf": families choose their tensor names and keys by it.
  virtual std::string_view format() const = 0;
  /// config.json (GGUF: the header).
  virtual const Metadata& config() const = 0;
  /// generation_config.json; empty where there is none.
  virtual const Metadata& generation() const = 0;
  /// nullptr where there is none.
  virtual const TensorView* find(std::string_view name) const = 0;
  virtual std::vector<std::string> names() const = 0;

  // Hints for the memory that a mapped file takes; the tensor can be read all the same.
  virtual void prefetch(const TensorView&) const {}  ///< it will be read soon
  virtual void release(const TensorView&) const {}   ///< it won't be read soon
};

/// Opens a Hugging Face folder (config.json and model.safetensors, or shards with
/// model.safetensors.index.json) or a GGUF file. The files are mapped, not read. Throws kNotFound,
/// kCorruptFile or kUnsupported with the file, the field, what was expected and what was found.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace fdllm
