#include "verify/trace.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "engine/option_json.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

// Longer canvases than any model has positions; keeps every sum of two lengths in 32 bits.
constexpr std::int32_t kMaxLength = 1 << 24;
constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;

[[noreturn]] void bad_field(std::string_view where, std::string_view field,
                            std::string_view expected, const Json* found) {
  std::string text = found == nullptr ? "nothing" : found->dump(-1, ' ', true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found {}", where, field, expected, text);
}

/// The fields of one line; every accessor names the line and the field when it complains.
class Fields {
 public:
  Fields(const Json& object, std::string_view where) : object_(object), where_(where) {}

  /// nullptr where the field is absent or null.
  const Json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::int32_t integer(const Json& value, const char* name, std::int32_t low,
                       std::int32_t high) const {
    if (value.is_number_integer()) {
      const bool fits =
          !value.is_number_unsigned() || value.get<std::uint64_t>() <= std::uint64_t{1} << 62;
      const auto number = fits ? value.get<std::int64_t>() : std::int64_t{-1};
      if (fits && number >= low && number <= high) return static_cast<std::int32_t>(number);
    }
    bad_field(where_, name, fmt::format("an integer from {} to {}", low, high), &value);
  }

  std::int32_t required_integer(const char* name, std::int32_t low, std::int32_t high) const {
    return integer(required(name, "an integer"), name, low, high);
  }

  std::optional<std::string> optional_text(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) bad_field(where_, name, "a string", value);
    return value->get<std::string>();
  }

  const Json& required_list(const char* name) const { return list(required(name, "a list"), name); }

  const Json& list(const Json& value, const char* name) const {
    if (!value.is_array()) bad_field(where_, name, "a list", &value);
    return value;
  }

  /// A list of two integers.
  std::pair<std::int32_t, std::int32_t> pair(const Json& value, const char* name) const {
    if (!value.is_array() || value.size() != 2) {
      bad_field(where_, name, "a list of two integers", &value);
    }
    const std::int32_t high = std::numeric_limits<std::int32_t>::max();
    return {integer(value[0], name, 0, high), integer(value[1], name, 0, high)};
  }

  std::vector<std::int32_t> token_ids(const char* name) const {
    const Json& values = required_list(name);
    if (values.size() > static_cast<std::size_t>(kMaxLength)) {
      bad_field(where_, name, fmt::format("at most {} tokens", kMaxLength), &values);
    }
    std::vector<std::int32_t> ids;
    ids.reserve(values.size());
    for (const Json& value : values) {
      ids.push_back(integer(value, name, 0, std::numeric_limits<std::int32_t>::max()));
    }
    return ids;
  }

  const Json& required(const char* name, std::string_view expected) const {
    const Json* value = find(name);
    if (value == nullptr) bad_field(where_, name, expected, nullptr);
    return *value;
  }

  std::string_view where() const { return where_; }

 private:
  const Json& object_;
  std::string_view where_;
};

std::string model_name(const Fields& fields) {
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

/// Dream traces that name no top_k were recorded with the one that a Hugging Face generation
/// configuration has by default.
constexpr std::int32_t kRecordedTopK = 50;

void set_option(const Fields& fields, const std::string& name, const std::string& text,
                GenerateOptions& options) {
  const GenerateOption* option = find_generate_option(name);
  if (option == nullptr) {
    fail(ErrorCode::kCorruptFile, "{}: 'beyond_paper': unknown option '{}'", fields.where(), name);
  }
  try {
    option->set(options, text);
  } catch (const Error& error) {
    fail(ErrorCode::kCorruptFile, "{}: {}", fields.where(), error.what());
  }
}

/// Options have the names that they have in any JSON. The public implementation has no such fields
/// where it has no such options.
GenerateOptions read_options(const Fields& fields) {
  GenerateOptions options;
  options.eos_stop = false;
  options.confidence = Confidence::kReference;
  if (fields.find("alg") != nullptr && fields.find("tokens_per_forward") == nullptr) {
    options.top_k = kRecordedTopK;
  }
  for (const GenerateOption& option : generate_options()) {
    const std::string field = option.field();
    const Json* value = fields.find(field.c_str());
    if (value == nullptr) continue;
    const bool is_list = option.kind == GenerateOption::Kind::kTexts;
    for (const Json& entry : is_list ? fields.list(*value, field.c_str()) : Json::array({*value})) {
      const std::optional<std::string> text = text_of_json(option, entry);
      if (!text) bad_field(fields.where(), field, json_type(option), &entry);
      set_option(fields, option.name, *text, options);
    }
  }
  fields.required("cache", "none, prefix or dual");
  options.gen_length = fields.required_integer("gen_length", 1, kMaxLength);
  options.block_length = fields.required_integer("block_length", 1, kMaxLength);
  // Where older lines have what the public implementation lacks, as texts.
  if (const Json* beyond = fields.find("beyond_paper")) {
    if (!beyond->is_object()) bad_field(fields.where(), "beyond_paper", "an object", beyond);
    for (const auto& [name, value] : beyond->items()) {
      if (!value.is_string()) bad_field(fields.where(), "beyond_paper", "strings", &value);
      set_option(fields, name, value.get<std::string>(), options);
    }
  }
  return options;
}

std::vector<TraceForward> read_forwards(const Fields& fields, const Trace& trace) {
  const auto prompt = static_cast<std::int32_t>(trace.prompt_ids.size());
  const Range canvas{0, prompt + trace.options.gen_length.value_or(0)};
  const Range answer{prompt, canvas.end};
  std::vector<TraceForward> forwards;
  std::unordered_map<std::int32_t, std::int32_t> committed;
  for (const Json& value : fields.required_list("forwards")) {
    if (!value.is_object()) bad_field(fields.where(), "forwards", "objects", &value);
    const Fields forward_fields(value, fields.where());
    const auto [begin, end] =
        forward_fields.pair(forward_fields.required("query", "[first, end)"), "query");
    if (begin >= end || end > canvas.end) {
      bad_field(fields.where(), "query",
                fmt::format("a range that isn't empty in [0, {})", canvas.end), &value["query"]);
    }
    TraceForward forward{{begin, end}, {}};
    for (const Json& entry : forward_fields.required_list("unmasked")) {
      const auto commit = forward_fields.pair(entry, "unmasked");
      if (!answer.contains(commit.first) || !committed.insert(commit).second) {
        bad_field(fields.where(), "unmasked",
                  fmt::format("a position in [{}, {}) that wasn't committed before", answer.begin,
                              answer.end),
                  &entry);
      }
      forward.unmasked.push_back(commit);
    }
    forwards.push_back(std::move(forward));
  }
  for (const auto& [position, token] : committed) {
    const std::int32_t output = trace.output_ids[position - prompt];
    if (output != token) {
      fail(ErrorCode::kCorruptFile,
           "{}: 'output_ids': expected token {} at position {}, as 'forwards' commits, found {}",
           fields.where(), token, position, output);
    }
  }
  if (!trace.may_end_early() && committed.size() != trace.output_ids.size()) {
    fail(ErrorCode::kCorruptFile,
         "{}: 'forwards': expected {} committed positions (gen_length), found {}", fields.where(),
         trace.output_ids.size(), committed.size());
  }
  return forwards;
}

template <typename T>
void put(nlohmann::ordered_json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

}  // namespace

bool Trace::may_end_early() const {
  // A canvas that grows ends where no more is needed.
  return options.eos_stop || !options.stop.empty() || options.initial_length.has_value();
}

Trace parse_trace(std::string_view line, std::string_view where) {
  const Json object = parse_json(line, where, {.max_bytes = kMaxLineBytes, .max_depth = 16});
  if (!object.is_object()) {
    fail(ErrorCode::kCorruptFile, "{}: expected an object, found {}", where, object.type_name());
  }
  const Fields fields(object, where);
  Trace trace;
  trace.model = model_name(fields);
  trace.question = fields.optional_text("question");
  trace.expected_answer = fields.optional_text("expected_answer");
  trace.prompt_text = fields.optional_text("prompt_text");
  trace.output_text = fields.optional_text("output_text");
  trace.prompt_ids = fields.token_ids("prompt_ids");
  trace.options = read_options(fields);
  trace.output_ids = fields.token_ids("output_ids");
  const std::int32_t gen_length = *trace.options.gen_length;
  if (trace.output_ids.size() != static_cast<std::size_t>(gen_length)) {
    fail(ErrorCode::kCorruptFile, "{}: 'output_ids': expected {} tokens (gen_length), found {}",
         where, gen_length, trace.output_ids.size());
  }
  trace.forwards = read_forwards(fields, trace);
  return trace;
}

std::string format_trace(const Trace& trace) {
  nlohmann::ordered_json json;
  json["model"] = trace.model;
  put(json, "question", trace.question);
  put(json, "expected_answer", trace.expected_answer);
  put(json, "prompt_text", trace.prompt_text);
  json["prompt_ids"] = trace.prompt_ids;
  json.update(options_json(trace.options));
  json["forwards"] = nlohmann::ordered_json::array();
  for (const TraceForward& forward : trace.forwards) {
    nlohmann::ordered_json entry;
    entry["query"] = {forward.query.begin, forward.query.end};
    entry["unmasked"] = forward.unmasked;
    json["forwards"].push_back(std::move(entry));
  }
  json["output_ids"] = trace.output_ids;
  put(json, "output_text", trace.output_text);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void read_traces(const std::filesystem::path& file, const TraceVisitor& visitor) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) {
    fail(ErrorCode::kNotFound, "{}: cannot be opened", file.string());
  }
  std::string line;
  std::size_t number = 0;
  const auto deliver = [&] {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) return;
    const std::string where = fmt::format("{}:{}", file.string(), number);
    std::optional<TraceLine> parsed;
    try {
      if (line.size() > kMaxLineBytes) {
        fail(ErrorCode::kCorruptFile, "{}: the line is longer than {} bytes", where, kMaxLineBytes);
      }
      parsed = TraceLine{where, parse_trace(line, where)};
    } catch (const Error& error) {
      visitor.bad_line(where, error.what());
    }
    if (parsed) visitor.trace(std::move(*parsed));
  };
  std::vector<char> chunk(1 << 16);
  while (stream) {
    stream.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    std::string_view rest(chunk.data(), static_cast<std::size_t>(stream.gcount()));
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      const std::string_view part = rest.substr(0, end);
      // A file without newlines must not fill the memory: the overlong line is cut, then refused.
      if (line.size() <= kMaxLineBytes) line.append(part);
      if (end == std::string_view::npos) break;
      deliver();
      line.clear();
      rest.remove_prefix(end + 1);
    }
  }
  if (!line.empty()) deliver();
}

void TraceRecorder::add(const StepEvent& event) {
  // The format leaves out forwards that committed nothing.
  if (event.committed.empty()) return;
  TraceForward forward{{event.query_begin, event.query_end}, {}};
  for (const TokenEvent& token : event.committed) {
    forward.unmasked.emplace_back(token.position, token.token);
  }
  forwards_.push_back(std::move(forward));
}

Trace TraceRecorder::finish(Trace settings, const GenerateResult& result) const {
  settings.prompt_ids = result.prompt_ids;
  settings.output_ids = result.output_ids;
  settings.forwards = forwards_;
  return settings;
}

}  // namespace fdllm
