#include "verify/trace.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "engine/option_json.h"
#include "verify/block_trace.h"
#include "verify/trace_fields.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;

/// Dream traces that name no top_k were recorded with the one that a Hugging Face generation
/// configuration has by default.
constexpr std::int32_t kRecordedTopK = 50;

void set_option(const TraceFields& fields, const std::string& name, const std::string& text,
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
GenerateOptions read_options(const TraceFields& fields) {
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
  // Models that attend whole blocks have none to choose.
  if (!options.fuse_store) fields.required("cache", "none, prefix or dual");
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

/// The forwards and the output must tell of the same answer.
void check_output(const TraceFields& fields, const Trace& trace) {
  const auto prompt = static_cast<std::int32_t>(trace.prompt_ids.size());
  std::size_t count = 0;
  for (const TraceForward& forward : trace.forwards) {
    for (const auto& [position, token] : forward.unmasked) {
      ++count;
      const std::int32_t output = trace.output_ids[position - prompt];
      if (output == token) continue;
      fail(ErrorCode::kCorruptFile,
           "{}: 'output_ids': expected token {} at position {}, as 'forwards' commits, found {}",
           fields.where(), token, position, output);
    }
  }
  if (!trace.may_end_early() && count != trace.output_ids.size()) {
    fail(ErrorCode::kCorruptFile,
         "{}: 'forwards': expected {} committed positions (gen_length), found {}", fields.where(),
         trace.output_ids.size(), count);
  }
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
  if (is_block_trace(object)) return parse_block_trace(object, where);
  const TraceFields fields(object, where);
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
  const auto prompt = static_cast<std::int32_t>(trace.prompt_ids.size());
  const Range answer{prompt, prompt + gen_length};
  // A model that attends whole blocks has masks behind the answer, up to the end of its block.
  const std::int32_t block = trace.options.fuse_store ? *trace.options.block_length : 1;
  trace.forwards = read_forwards(fields, answer, answer.end + (block - answer.end % block) % block);
  check_output(fields, trace);
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
  if (keep_ == Keep::kCommitting && event.committed.empty()) return;
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
