#include "engine/load.h"

#include <algorithm>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/failure.h"
#include "base/mapping_table.h"
#include "base/system_memory.h"
#include "decode/blocks/block_options.h"
#include "decode/unmask/lookup.h"
#include "decode/unmask/shared_numbers.h"
#include "engine/answer_cut.h"
#include "engine/backend_options.h"
#include "engine/load_watch.h"
#include "engine/open_text.h"
#include "text/chat_templates.h"

namespace fdllm {
namespace {

/// Tokens that a model must have memory for to be worth loading.
constexpr std::int64_t kSmallCanvas = 32;

std::vector<std::pair<std::string, std::int64_t>> stored_dtypes(const Checkpoint& checkpoint) {
  std::map<std::string, std::int64_t> counts;
  for (const std::string& name : checkpoint.names()) {
    try {
      ++counts[name_of(checkpoint.find(name)->dtype)];
    } catch (const Error&) {  // a type that no model tensor may have, such as a buffer of integers
      ++counts["other"];
    }
  }
  return {counts.begin(), counts.end()};
}

std::vector<RuleInfo> rules_info(ReferenceFamily family) {
  std::vector<RuleInfo> infos;
  for (const UnmaskRule* rule : rules_of(family)) {
    RuleInfo& info = infos.emplace_back();
    info.name = rule->name;
    info.summary = rule->summary;
    info.chosen_by = rule->chosen_by == nullptr ? "alg" : rule->chosen_by->name;
    if (rule->chosen_by != nullptr) info.numbers.emplace_back(rule->chosen_by->name);
    for (const RuleNumber* number : rule->numbers) info.numbers.emplace_back(number->name);
    if (rule->schedule != Schedule::kNone && rule->chosen_by != &kSteps) {
      info.numbers.emplace_back(kSteps.name);
    }
  }
  return infos;
}

/// Ids of the vocabulary for which the tokenizer has no token: a matrix may have more rows than
/// there are tokens. An end token stays one, whatever the tokenizer knows.
std::vector<std::int32_t> unused_tokens(const Tokenizer* tokenizer, const ModelConfig& config) {
  std::vector<std::int32_t> unused;
  if (tokenizer == nullptr) return unused;
  for (std::int32_t id = 0; id < config.vocab; ++id) {
    const bool ends = std::find(config.end_tokens.begin(), config.end_tokens.end(), id) !=
                      config.end_tokens.end();
    if (!ends && !tokenizer->has(id)) unused.push_back(id);
  }
  return unused;
}

DecodeTraits traits_of(const OpenModel& model) {
  const ModelConfig& config = model.config;
  return {.mask_token = config.mask_token,
          .end_tokens = config.end_tokens,
          .reference = config.reference,
          .unused_tokens = unused_tokens(model.tokenizer.get(), config),
          .causal_block = config.causal_block};
}

void describe(OpenModel& model) {
  const ModelConfig& config = model.config;
  ModelInfo& info = model.info;
  info.path = model.checkpoint->path().string();
  info.family = config.family;
  info.format = std::string(model.checkpoint->format());
  info.backend = model.backend->description();
  if (model.chat_template) {
    info.chat_template = model.chat_template->source();
    info.chat_template_problem = model.chat_template->problem();
    info.reads_tool_calls = model.chat_template->reads_tool_calls();
  }
  info.hidden = config.hidden;
  info.layers = config.layers;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_dim = config.head_dim;
  info.ffn = config.ffn;
  info.vocab = config.vocab;
  if (model.tokenizer) info.tokenizer_vocab = model.tokenizer->vocab_size();
  info.max_positions = config.max_positions;
  info.parameters = model.tensors.parameters;
  info.tied_embeddings = config.tied_embeddings;
  info.qkv_bias = config.qkv_bias;
  info.logit_shift = config.logit_shift;
  info.mask_token = config.mask_token;
  info.end_tokens = config.end_tokens;
  info.rules = rules_info(config.reference);
  info.unused_options = options_of_others(traits_of(model));
  info.weight_bytes = Transformer::packed_bytes(*model.backend, config) +
                      Transformer::copied_bytes(config, model.tensors);
  info.stored_dtypes = stored_dtypes(*model.checkpoint);
}

WeightType type_of(WeightFormat format) {
  for (const WeightType type : weight_types()) {
    if (type != WeightType::kAuto && weight_format(type) == format) return type;
  }
  return WeightType::kAuto;
}

const char* smaller_weights_hint(WeightType weights) {
  switch (weights) {
    case WeightType::kF32:
      return "; --weights bf16 halves that";
    case WeightType::kAuto:
    case WeightType::kBF16:
      return "; --weights int8 halves that";
    case WeightType::kInt8:
    case WeightType::kInt8Group128:
    case WeightType::kInt8Group32:
      return "; --weights int4 nearly halves that";
    case WeightType::kInt4:
    case WeightType::kInt4Group32:
      break;
  }
  return "";
}

void validate_engine_options(const EngineOptions& options) {
  if (options.row_budget < 1) {
    fail(ErrorCode::kInvalidArgument, "row_budget: expected at least 1, found {}",
         options.row_budget);
  }
  if (options.max_live_requests < 1) {
    fail(ErrorCode::kInvalidArgument, "max_live_requests: expected at least 1, found {}",
         options.max_live_requests);
  }
  if (!(options.slice_seconds >= 0)) {
    fail(ErrorCode::kInvalidArgument, "slice_seconds: expected 0 or more, found {}",
         options.slice_seconds);
  }
  if (!(options.progress_seconds >= 0)) {
    fail(ErrorCode::kInvalidArgument, "progress_seconds: expected 0 or more, found {}",
         options.progress_seconds);
  }
  if (options.threads < 0) {
    fail(ErrorCode::kInvalidArgument, "threads: expected 0 (automatic) or more, found {}",
         options.threads);
  }
}

void require_memory(const OpenModel& model, const EngineOptions& options) {
  const std::optional<std::uint64_t> available = options.memory_limit != 0
                                                     ? std::optional(options.memory_limit)
                                                     : model.backend->available_memory();
  const std::int64_t canvas = std::min(kSmallCanvas, model.config.max_positions);
  const MemoryEstimate needed = estimate_of(model, canvas, 1, options.row_budget);
  if (available && needed.total() > *available) {
    fail(ErrorCode::kOutOfMemory,
         "{}: the weights need {} and a canvas of {} tokens {}, {} is available on the device "
         "'{}'{}",
         model.info.path, bytes_text(needed.weights), canvas,
         bytes_text(needed.kv + needed.buffers), bytes_text(*available), options.device,
         smaller_weights_hint(model.info.weights));
  }
}

/// What the model needs to read and write text.
void read_text(OpenModel& model, const std::string& choice) {
  ModelText text = open_text(*model.checkpoint);
  find_mask_token(*model.family, text, model.config);
  model.tokenizer = std::move(text.tokenizer);
  model.chat_template = choose_chat_template(text.chat_templates, choice);
  model.info.chat_templates = text.chat_templates.names();
  if (model.tokenizer->vocab_size() > model.config.vocab) {
    fail(ErrorCode::kCorruptFile,
         "{}: its largest token id is {}, but the model's vocabulary has {} tokens; does this "
         "tokenizer belong to this checkpoint?",
         text.source, model.tokenizer->vocab_size() - 1, model.config.vocab);
  }
  add_end_tokens(*model.family, *model.tokenizer, model.config);
}

}  // namespace

std::vector<KeptWeights> kept_weights(const ConversionSums& sums) {
  std::vector<KeptWeights> kept;
  for (const FormatConversion& conversion : sums.all()) {
    kept.push_back(
        {name_of(conversion.sums.stored), type_of(conversion.format), conversion.relative_error()});
  }
  return kept;
}

OpenModel open_model(ModelSource source, const EngineOptions& options) {
  validate_engine_options(options);
  OpenModel model;
  const bool has_text = source.checkpoint == nullptr;
  model.checkpoint = has_text ? open_checkpoint(source.path) : std::move(source.checkpoint);
  model.family = &family_of(*model.checkpoint);
  model.config = model.family->read_config(*model.checkpoint);
  model.tensors = resolve_tensors(*model.checkpoint, *model.family, model.config);
  EngineOptions resolved = options;
  resolved.weights = resolve_weights(options.weights, model.tensors);
  model.info.weights = resolved.weights;
  model.backend = source.make_backend(backend_options(resolved));
  if (has_text) read_text(model, options.chat_template);
  describe(model);
  return model;
}

MemoryEstimate estimate_of(const OpenModel& model, std::int64_t canvas_length,
                           std::int64_t requests, std::int64_t row_budget) {
  const ModelConfig& config = model.config;
  MemoryEstimate estimate;
  estimate.weights = model.info.weight_bytes;
  estimate.kv =
      static_cast<std::uint64_t>(requests) *
      model.backend->kv_bytes({config.layers, config.kv_heads, config.head_dim, canvas_length});
  const std::int64_t rows = std::min(requests * canvas_length, std::max(canvas_length, row_budget));
  estimate.buffers = Transformer::buffer_bytes(*model.backend, config, rows);
  return estimate;
}

LoadedModel::LoadedModel(OpenModel opened, const EngineOptions& engine_options,
                         const PackCallback& on_packed)
    : open(std::move(opened)),
      options(engine_options),
      transformer(*open.backend, open.config, open.tensors, on_packed),
      memory(account_settings(*open.backend, options, open.info.weight_bytes)),
      requests(std::make_shared<RequestModel>(
          RequestModel{traits_of(open), open.config.vocab, open.config.max_positions})) {
  check_mapped_files();
  if (!transformer.reads_checkpoint()) {
    open.tensors = {};
    open.checkpoint.reset();
  }
  open.info.kept_weights = kept_weights(transformer.conversions());
}

std::unique_ptr<StepLoop> LoadedModel::make_loop() {
  const LoopLimits limits = {options.row_budget, options.max_live_requests, &memory,
                             options.slice_seconds, options.progress_seconds};
  return std::make_unique<StepLoop>(transformer, *open.backend,
                                    token_bytes_of(open.tokenizer.get()), requests, limits);
}

std::unique_ptr<LoadedModel> load_model(ModelSource source, const EngineOptions& options,
                                        const LoadListener& on_progress) {
  try {
    LoadWatch watch(on_progress, options.progress_seconds,
                    source.checkpoint ? source.checkpoint->path().string() : source.path.string());
    watch.opening();
    OpenModel opened = open_model(std::move(source), options);
    require_memory(opened, options);
    auto model = std::make_unique<LoadedModel>(std::move(opened), options, watch.on_packed());
    watch.loaded();
    return model;
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
}

}  // namespace fdllm
