#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace fdllm {

/// Reads members of a JSON document that came from outside. Every error names the document and the
/// member's path: "tokenizer.json: 'model.vocab': expected a filled object, found 3".
class JsonFields {
 public:
  using Json = nlohmann::json;

  /// `source` names the document in messages.
  explicit JsonFields(std::string_view source) : source_(source) {}

  const std::string& source() const { return source_; }

  [[noreturn]] void corrupt(const std::string& field, std::string_view expected,
                            const Json& found) const;
  /// `why` follows the sentence: what is supported instead.
  [[noreturn]] void unsupported(const std::string& field, std::string_view expected,
                                const Json& found, std::string_view why) const;

  /// Throws where it is missing. `path` is the object's own, with a dot at its end.
  const Json& member(const Json& object, const std::string& path, const char* name) const;
  /// null where it is missing.
  static const Json& optional_member(const Json& object, const char* name);
  const std::string& text(const Json& value, const std::string& field) const;
  bool flag(const Json& object, const std::string& path, const char* name, bool absent) const;
  /// A whole number from 0 to limit - 1.
  std::int64_t id(const Json& value, const std::string& field, std::int64_t limit) const;

  /// A value as a message shows it.
  static std::string describe(const Json& value);

 private:
  std::string source_;
};

}  // namespace fdllm
