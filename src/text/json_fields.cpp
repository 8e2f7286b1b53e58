#include "text/json_fields.h"

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {

std::string JsonFields::describe(const Json& value) {
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  if (value.is_primitive()) return value.dump();
  return value.is_array() ? "an array" : "an object";
}

void JsonFields::corrupt(const std::string& field, std::string_view expected,
                         const Json& found) const {
  fail(ErrorCode::kCorruptFile, "{}: {}: expected {}, found {}", source_, quote(field), expected,
       describe(found));
}

void JsonFields::unsupported(const std::string& field, std::string_view expected, const Json& found,
                             std::string_view why) const {
  fail(ErrorCode::kUnsupported, "{}: {}: expected {}, found {}; {}", source_, quote(field),
       expected, describe(found), why);
}

const nlohmann::json& JsonFields::member(const Json& object, const std::string& path,
                                         const char* name) const {
  const auto found = object.find(name);
  if (found == object.end()) {
    fail(ErrorCode::kCorruptFile, "{}: {} is missing; is this a Hugging Face tokenizer.json?",
         source_, quote(path + name));
  }
  return *found;
}

const nlohmann::json& JsonFields::optional_member(const Json& object, const char* name) {
  static const Json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

const std::string& JsonFields::text(const Json& value, const std::string& field) const {
  if (!value.is_string()) corrupt(field, "a string", value);
  return value.get_ref<const std::string&>();
}

bool JsonFields::flag(const Json& object, const std::string& path, const char* name,
                      bool absent) const {
  const Json& value = optional_member(object, name);
  if (value.is_null()) return absent;
  if (!value.is_boolean()) corrupt(path + name, "true or false", value);
  return value.get<bool>();
}

std::int64_t JsonFields::id(const Json& value, const std::string& field, std::int64_t limit) const {
  // Compared as JSON numbers, so that a number beyond 64 bits is out of range and does not wrap.
  if (!value.is_number_integer() || value < 0 || value >= limit) {
    corrupt(field, fmt::format("an id in [0, {})", limit), value);
  }
  return value.get<std::int64_t>();
}

}  // namespace fdllm
