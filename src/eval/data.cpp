#include "eval/data.h"

#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"

namespace fdllm::eval {
namespace {

using Json = nlohmann::json;

[[noreturn]] void bad_field(std::string_view where, std::string_view field,
                            std::string_view expected, const Json& found) {
  std::string text = found.dump(-1, ' ', true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  fail(ErrorCode::kInvalidArgument, "{}: '{}': expected {}, found {}", where, field, expected,
       text);
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t hash) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }
  return hash;
}

bool DataLine::has(std::string_view field) const {
  return object_.contains(field) && !object_[std::string(field)].is_null();
}

const Json& DataLine::at(std::string_view field, std::string_view expected) const {
  const auto found = object_.find(field);
  if (found != object_.end()) return *found;
  std::string fields;
  for (const auto& [name, value] : object_.items()) {
    fields += (fields.empty() ? "" : ", ") + name;
  }
  fail(ErrorCode::kInvalidArgument, "{}: '{}': expected {}, but the line has only: {}", where_,
       field, expected, fields.empty() ? "nothing" : fields.substr(0, 200));
}

std::string DataLine::text(std::string_view field) const {
  const Json& value = at(field, "a text");
  if (!value.is_string()) bad_field(where_, field, "a text", value);
  return value.get<std::string>();
}

std::string DataLine::value(std::string_view field) const {
  const Json& value = at(field, "a text or a number");
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number() && !value.is_boolean()) {
    bad_field(where_, field, "a text or a number", value);
  }
  return value.dump();
}

DataFile read_data(const std::filesystem::path& path) {
  const MappedFile file = MappedFile::open(path);
  std::string_view rest = file.text();
  DataFile data;
  data.hash = hash_bytes(rest);
  std::size_t number = 0;
  while (!rest.empty()) {
    ++number;
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string where = fmt::format("{}:{}", path.string(), number);
    Json object = parse_json(line, where);
    if (!object.is_object()) {
      fail(ErrorCode::kInvalidArgument, "{}: expected an object a line, found {}", where,
           object.type_name());
    }
    data.lines.emplace_back(std::move(where), std::move(object));
  }
  if (data.lines.empty()) {
    fail(ErrorCode::kInvalidArgument, "{}: expected JSON lines, found none", path.string());
  }
  return data;
}

}  // namespace fdllm::eval
