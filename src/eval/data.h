#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fdllm::eval {

/// FNV-1a, 64 bits: to notice that something has changed, not against an attacker.
inline constexpr std::uint64_t kHashBasis = 0xcbf29ce484222325U;
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t hash = kHashBasis);

/// A line of a JSONL file of questions: an object with fields. Every member that reads a field
/// throws kInvalidArgument naming file, line and field where it isn't what it must be.
class DataLine {
 public:
  DataLine(std::string where, nlohmann::json object)
      : where_(std::move(where)), object_(std::move(object)) {}

  const std::string& where() const { return where_; }
  bool has(std::string_view field) const;
  std::string text(std::string_view field) const;
  /// A text, or a number or truth value as JSON writes it.
  std::string value(std::string_view field) const;

 private:
  const nlohmann::json& at(std::string_view field, std::string_view expected) const;

  std::string where_;  ///< "file:line"
  nlohmann::json object_;
};

struct DataFile {
  std::vector<DataLine> lines;
  std::uint64_t hash = kHashBasis;
};

/// Reads a JSONL file; blank lines are skipped. Throws kNotFound, kCorruptFile (no JSON) and
/// kInvalidArgument (no object, or no line at all).
DataFile read_data(const std::filesystem::path& path);

}  // namespace fdllm::eval
