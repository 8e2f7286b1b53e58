#include <string>
#include <utility>

#include "base/check.h"
#include "server/api_types.h"
#include "server/api_types_body.h"
#include "server/api_types_fields.h"

namespace fdllm::server {
namespace {

constexpr std::size_t kMaxParts = 8192;
constexpr std::size_t kMaxExtra = 256;

/// {"hole": 4}, {"hole": "2-6"} or {"hole": [2, 6]}.
InfillPart read_hole(const std::string& field, const Json& value) {
  if (value.is_string()) {
    try {
      return parse_hole(value.get_ref<const std::string&>(), field);
    } catch (const Error& error) {
      throw ApiError(
          400, fmt::format("'{}'{}", field, std::string(error.what()).substr(field.size())), field);
    }
  }
  if (!value.is_array()) {
    const std::int32_t length = read_integer(field, value, 1, kMaxHole);
    return {"", length, length};
  }
  if (value.size() != 2) bad_field(field, "a length, or a least and a greatest one", value);
  const std::int32_t least = read_integer(field, value[0], 1, kMaxHole);
  return {"", least, read_integer(field, value[1], least, kMaxHole)};
}

std::vector<InfillPart> read_parts(std::string_view field, const Json& value) {
  constexpr std::string_view kExpected = "a list of texts and {\"hole\": length} that isn't empty";
  read_list(field, kExpected, value, kMaxParts);
  if (value.empty()) bad_field(field, kExpected, value);
  std::vector<InfillPart> parts;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", field, i);
    if (value[i].is_string()) {
      parts.push_back({value[i].get<std::string>()});
    } else if (value[i].is_object() && value[i].size() == 1 && value[i].contains("hole")) {
      parts.push_back(read_hole(path + ".hole", value[i]["hole"]));
    } else {
      bad_field(path, "a text or {\"hole\": length}", value[i]);
    }
  }
  return parts;
}

std::vector<InfillPart> read_hole_text(std::string_view field, const Json& value) {
  try {
    return parse_hole_text(read_text(field, value), fmt::format("'{}'", field));
  } catch (const Error& error) {
    throw to_api_error(error);
  }
}

/// Text that stands before the one that is written: "\n--- name ---\n" and the text.
std::string read_extra(std::string_view field, const Json& value) {
  std::string extra;
  read_list(field, "a list of {filename, text}", value, kMaxExtra);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", field, i);
    if (!value[i].is_object() || !value[i].contains("text")) {
      bad_field(path, "{filename, text}", value[i]);
    }
    const Json name = value[i].value("filename", Json("snippet"));
    extra += fmt::format("--- {} ---\n{}\n", read_text(path + ".filename", name),
                         read_text(path + ".text", value[i]["text"]));
  }
  return extra;
}

}  // namespace

InfillRequest parse_infill_request(std::string_view body) {
  auto request = parse_generation<InfillRequest>(
      body, kInfill, [&](InfillRequest& infill, std::string_view name, const Json& value) {
        if (name != "text" && name != "parts") return false;
        if (value.is_null()) return true;
        if (!infill.parts.empty()) {
          throw ApiError(400, "'text' contradicts 'parts'; give only one of them",
                         std::string(name));
        }
        infill.parts = name == "text" ? read_hole_text(name, value) : read_parts(name, value);
        infill.field = name;
        return true;
      });
  bool has_hole = false;
  for (const InfillPart& part : request.parts) has_hole |= part.is_hole();
  if (!has_hole) {
    throw ApiError(400,
                   fmt::format("'{}': expected at least one hole, as in \"a <|hole:4|> b\" or "
                               "[\"a \", {{\"hole\": 4}}, \" b\"]",
                               request.field),
                   request.field);
  }
  if (request.options.gen_length || request.max_tokens) {
    const std::string name = request.options.gen_length ? "gen_length" : request.limit_name;
    throw ApiError(400, fmt::format("'{}': the holes have their own lengths; leave it out", name),
                   name);
  }
  if (!request.options.stop.empty()) {
    throw ApiError(400, "'stop': text after the holes is given and can't be cut; leave it out",
                   "stop");
  }
  return request;
}

EditorRequest parse_editor_request(std::string_view body) {
  bool has_text = false;
  auto request = parse_generation<EditorRequest>(
      body, kEditor, [&](EditorRequest& editor, std::string_view name, const Json& value) {
        std::string* text = name == "input_prefix"   ? &editor.prefix
                            : name == "input_suffix" ? &editor.suffix
                            : name == "prompt"       ? &editor.prompt
                                                     : nullptr;
        if (name == "input_extra") {
          if (!value.is_null()) editor.extra = read_extra(name, value);
          return true;
        }
        if (text == nullptr) return false;
        if (!value.is_null()) *text = read_text(name, value);
        has_text |= name != "prompt" && !value.is_null();
        return true;
      });
  if (!has_text) {
    throw ApiError(400, "'input_prefix': expected input_prefix, input_suffix or both, found none",
                   "input_prefix");
  }
  if (request.n != 1)
    refuse_parameter("n", "there is one answer here; /v1/completions with suffix has more");
  if (request.denoising) {
    refuse_parameter("stream_options.denoising",
                     "is for /v1/completions with suffix, and /v1/infill");
  }
  return request;
}

}  // namespace fdllm::server
