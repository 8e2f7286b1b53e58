#include "verify/block_trace.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "verify/trace_fields.h"

namespace fdllm {
namespace {

constexpr std::int32_t kV2Block = 32;  // its traces don't say

/// How one family's lines tell what its loop was given.
struct BlockFamily {
  std::string_view name;
  void (*read)(const TraceFields& fields, std::int32_t prompt, GenerateOptions& options);
};

void set_number(const TraceFields& fields, const char* field, std::string_view number,
                GenerateOptions& options) {
  if (const auto value = fields.optional_number(field)) options.rule.set(number, *value);
}

/// Up to the end of the last block that was decoded, and the block after it.
std::int32_t gen_length_of(std::int64_t end_of_blocks, std::int32_t block, std::int32_t prompt) {
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(end_of_blocks + block - prompt, kMaxLength));
}

void read_sdar(const TraceFields& fields, std::int32_t prompt, GenerateOptions& options) {
  const std::int32_t block = fields.required_integer("block_length", 1, kMaxLength);
  const std::int64_t asked = prompt + fields.required_integer("gen_length", 1, kMaxLength);
  options.block_length = block;
  options.gen_length = gen_length_of((asked + block - 1) / block * block, block, prompt);
  options.rule.alg = fields.optional_text("strategy");
  options.rule.set("block_steps", fields.required_integer("steps", 1, kMaxLength));
  // Each strategy is given all numbers, and takes its own.
  if (options.rule.alg == "low_confidence_dynamic") {
    set_number(fields, "threshold", "threshold", options);
  } else if (options.rule.alg == "entropy_bounded") {
    options.rule.reset("block_steps");
    set_number(fields, "eb_threshold", "eb_threshold", options);
  }
}

void read_v2(const TraceFields& fields, std::int32_t prompt, GenerateOptions& options) {
  const std::int32_t tokens = fields.required_integer("max_new_tokens", kV2Block, kMaxLength);
  const std::int64_t first = prompt / kV2Block * kV2Block;
  options.gen_length = gen_length_of(first + tokens / kV2Block * kV2Block, kV2Block, prompt);
  options.sub_block_length = fields.optional_integer("small_block_size", 1, kV2Block);
  options.block_cache = fields.flag("use_block_cache");
  set_number(fields, "threshold", "threshold", options);
}

constexpr std::array kFamilies = {BlockFamily{"sdar", read_sdar},
                                  BlockFamily{"fast_dllm_v2", read_v2}};

const BlockFamily* family_of(const nlohmann::json& line) {
  const auto name = line.find("family");
  if (name == line.end()) return nullptr;
  const auto found = std::ranges::find_if(
      kFamilies, [&](const BlockFamily& family) { return *name == family.name; });
  return found == kFamilies.end() ? nullptr : &*found;
}

}  // namespace

bool is_block_trace(const nlohmann::json& line) {
  return family_of(line) != nullptr;
}

Trace parse_block_trace(const nlohmann::json& line, std::string_view where) {
  const BlockFamily* family = family_of(line);
  check(family != nullptr, "a line of a family that decodes by blocks");
  const TraceFields fields(line, where);
  Trace trace;
  trace.all_forwards = true;
  trace.model = model_name(fields);
  trace.prompt_text = fields.optional_text("prompt_text");
  trace.prompt_ids = fields.token_ids("prompt_ids");
  trace.quirk = fields.optional_text("quirk");
  const auto prompt = static_cast<std::int32_t>(trace.prompt_ids.size());
  family->read(fields, prompt, trace.options);
  trace.options.eos_stop = false;
  trace.options.fuse_store = false;
  trace.output_ids = fields.token_ids("output_ids");
  // What a defect does need not make sense.
  const std::int32_t end = prompt + *trace.options.gen_length;
  if (!trace.quirk) trace.forwards = read_forwards(fields, {prompt, end}, end);
  return trace;
}

}  // namespace fdllm
