#include "base/json.h"

#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {
namespace {

// Before parsing, because values that are nested too deep are a danger to every recursive walk
// over them later.
void check_depth(std::string_view text, std::string_view source, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) {
        fail(ErrorCode::kCorruptFile, "{}: byte {}: JSON nested deeper than {} levels", source, i,
             max_depth);
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

// Knows the keys of the objects that are open, so that a key that comes twice is found.
class DuplicateFinder {
 public:
  explicit DuplicateFinder(std::string_view source) : source_(source) {}

  bool operator()(int /*depth*/, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) {
      open_.emplace_back();
    } else if (event == Event::object_end) {
      open_.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second) {
        fail(ErrorCode::kCorruptFile, "{}: {} stands twice in one object", source_, quote(key));
      }
    }
    return true;
  }

 private:
  std::string_view source_;
  std::vector<std::set<std::string>> open_;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view source,
                          const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    fail(ErrorCode::kCorruptFile, "{}: expected at most {} bytes of JSON, found {}", source,
         limits.max_bytes, text.size());
  }
  check_depth(text, source, limits.max_depth);
  try {
    if (limits.duplicate_keys == DuplicateKeys::kLastWins) return nlohmann::json::parse(text);
    return nlohmann::json::parse(text, DuplicateFinder(source));
  } catch (const nlohmann::json::parse_error& error) {
    fail(ErrorCode::kCorruptFile, "{}: byte {}: not valid JSON; was the file cut off?", source,
         error.byte);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kCorruptFile, "{}: not valid JSON: {}", source, error.what());
  }
}

}  // namespace fdllm
