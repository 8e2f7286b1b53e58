#include "formats/hf_config.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/quote.h"

namespace fdllm {
namespace {

using nlohmann::json;
using Values = std::map<std::string, Metadata::Value, std::less<>>;

bool is_integer(const json& value) {
  // Numbers beyond the signed range become doubles below: no field of a model is that large.
  return value.is_number_integer() &&
         (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
}

class Flattener {
 public:
  Flattener(const std::string& source, Values& values) : source_(source), values_(values) {}

  void add(const std::string& key, const json& value) {
    if (value.is_object()) {
      for (const auto& [name, child] : value.items()) add(join(key, escaped(name)), child);
    } else if (value.is_array()) {
      add_list(key, value);
    } else if (value.is_boolean()) {
      store(key, value.get<bool>());
    } else if (is_integer(value)) {
      store(key, value.get<std::int64_t>());
    } else if (value.is_number()) {
      store(key, value.get<double>());
    } else if (value.is_string()) {
      store(key, value.get<std::string>());
    } else {
      store(key, std::monostate{});
    }
  }

 private:
  // A dot inside a name must not make it look like a nested key.
  static std::string escaped(const std::string& name) {
    std::string result;
    for (const char c : name) result += c == '.' ? "\\." : std::string(1, c);
    return result;
  }

  static std::string join(const std::string& parent, const std::string& name) {
    return parent.empty() ? name : parent + '.' + name;
  }

  void add_list(const std::string& key, const json& list) {
    if (std::all_of(list.begin(), list.end(), is_integer)) {
      store(key, list.get<std::vector<std::int64_t>>());
    } else if (std::all_of(list.begin(), list.end(), [](const json& v) { return v.is_string(); })) {
      store(key, list.get<std::vector<std::string>>());
    } else {
      std::size_t index = 0;
      for (const json& child : list) add(join(key, std::to_string(index++)), child);
    }
  }

  void store(const std::string& key, Metadata::Value value) {
    values_.insert_or_assign(key, std::move(value));
    // Deep nesting repeats the outer keys in every leaf, so a small text could grow without bound.
    key_bytes_ += key.size();
    if (key_bytes_ > kMaxKeyBytes) {
      fail(ErrorCode::kCorruptFile, "{}: expected at most {} bytes of keys", source_, kMaxKeyBytes);
    }
  }

  static constexpr std::size_t kMaxKeyBytes = std::size_t{64} << 20;

  const std::string& source_;
  Values& values_;
  std::size_t key_bytes_ = 0;
};

}  // namespace

Metadata parse_hf_config(std::string_view text, const std::string& source) {
  const json root = parse_json(
      text, source, {.max_bytes = std::size_t{16} << 20, .dialect = JsonDialect::kPython});
  if (!root.is_object()) {
    fail(ErrorCode::kCorruptFile, "{}: expected a JSON object, found {}", source, root.type_name());
  }
  Values values;
  Flattener(source, values).add("", root);
  return {source, std::move(values)};
}

}  // namespace fdllm
