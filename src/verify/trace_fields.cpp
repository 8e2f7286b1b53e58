#include "verify/trace_fields.h"

#include <unordered_set>

#include "base/check.h"

namespace fdllm {

using Json = nlohmann::json;

void bad_field(std::string_view where, std::string_view field, std::string_view expected,
               const Json* found) {
  std::string text = found == nullptr ? "nothing" : found->dump(-1, ' ', true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found {}", where, field, expected, text);
}

std::string model_name(const TraceFields& fields) {
  const Json& value = fields.required("model", "a folder name");
  if (value.is_string()) {
    auto name = value.get<std::string>();
    // The name is joined to a folder that the user gave; it must not lead out of it.
    const bool plain = !name.empty() && name != "." && name != ".." &&
                       name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (plain) return name;
  }
  bad_field(fields.where(), "model", "a folder name without slashes", &value);
}

std::vector<TraceForward> read_forwards(const TraceFields& fields, Range answer,
                                        std::int32_t canvas_end) {
  std::vector<TraceForward> forwards;
  std::unordered_set<std::int32_t> committed;
  for (const Json& value : fields.required_list("forwards")) {
    if (!value.is_object()) bad_field(fields.where(), "forwards", "objects", &value);
    const TraceFields forward_fields(value, fields.where());
    const auto [begin, end] =
        forward_fields.pair(forward_fields.required("query", "[first, end)"), "query");
    if (begin >= end || end > canvas_end) {
      bad_field(fields.where(), "query",
                fmt::format("a range that isn't empty in [0, {})", canvas_end), &value["query"]);
    }
    TraceForward forward{{begin, end}, {}};
    for (const Json& entry : forward_fields.required_list("unmasked")) {
      const auto commit = forward_fields.pair(entry, "unmasked");
      if (!answer.contains(commit.first) || !committed.insert(commit.first).second) {
        bad_field(fields.where(), "unmasked",
                  fmt::format("a position in [{}, {}) that wasn't committed before", answer.begin,
                              answer.end),
                  &entry);
      }
      forward.unmasked.push_back(commit);
    }
    forwards.push_back(std::move(forward));
  }
  return forwards;
}

}  // namespace fdllm
