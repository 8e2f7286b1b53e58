#include "fastdllm/engine.h"

#include <algorithm>
#include <map>
#include <optional>

#include "backend/backend.h"
#include "base/check.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/mapping_table.h"
#include "base/system_memory.h"
#include "decode/unmask/lookup.h"
#include "decode/unmask/shared_numbers.h"
#include "engine/answer.h"
#include "engine/backend_options.h"
#include "engine/load_watch.h"
#include "engine/memory_account.h"
#include "engine/open_text.h"
#include "engine/resolve_request.h"
#include "engine/step_loop.h"
#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/transformer.h"
#include "text/chat_templates.h"
#include "text/tokenizer.h"

namespace fdllm {
namespace {

/// Tokens that a model must have memory for to be worth loading.
constexpr std::int64_t kSmallCanvas = 32;

/// All of a checkpoint but its packed weights.
struct OpenModel {
  std::unique_ptr<Checkpoint> checkpoint;  ///< once loaded: nullptr where nothing more is read
  const Family* family = nullptr;
  ModelConfig config;
  ModelTensors tensors;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<Backend> backend;
  ModelInfo info;
};

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
  }
  info.hidden = config.hidden;
  info.layers = config.layers;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_dim = config.head_dim;
  info.ffn = config.ffn;
  info.vocab = config.vocab;
  info.tokenizer_vocab = model.tokenizer->vocab_size();
  info.max_positions = config.max_positions;
  info.parameters = model.tensors.parameters;
  info.tied_embeddings = config.tied_embeddings;
  info.qkv_bias = config.qkv_bias;
  info.logit_shift = config.logit_shift;
  info.mask_token = config.mask_token;
  info.end_tokens = config.end_tokens;
  info.rules = rules_info(config.reference);
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

std::vector<KeptWeights> kept_weights(const ConversionSums& sums) {
  std::vector<KeptWeights> kept;
  for (const FormatConversion& conversion : sums.all()) {
    kept.push_back(
        {name_of(conversion.sums.stored), type_of(conversion.format), conversion.relative_error()});
  }
  return kept;
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

OpenModel open_model(const std::filesystem::path& path, const EngineOptions& options) {
  OpenModel model;
  model.checkpoint = open_checkpoint(path);
  model.family = &family_of(*model.checkpoint);
  model.config = model.family->read_config(*model.checkpoint);
  model.tensors = resolve_tensors(*model.checkpoint, *model.family, model.config);
  EngineOptions resolved = options;
  resolved.weights = resolve_weights(options.weights, model.tensors);
  model.info.weights = resolved.weights;
  model.backend = make_backend(backend_options(resolved));
  ModelText text = open_text(*model.checkpoint);
  model.tokenizer = std::move(text.tokenizer);
  model.chat_template = choose_chat_template(text.chat_templates, options.chat_template);
  model.info.chat_templates = text.chat_templates.names();
  if (model.tokenizer->vocab_size() > model.config.vocab) {
    fail(ErrorCode::kCorruptFile,
         "{}: its largest token id is {}, but the model's vocabulary has {} tokens; does this "
         "tokenizer belong to this checkpoint?",
         text.source, model.tokenizer->vocab_size() - 1, model.config.vocab);
  }
  add_end_tokens(*model.family, *model.tokenizer, model.config);
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

/// Ids of the vocabulary for which the tokenizer has no token: a matrix may have more rows than
/// there are tokens. An end token stays one, whatever the tokenizer knows.
std::vector<std::int32_t> unused_tokens(const Tokenizer& tokenizer, const ModelConfig& config) {
  std::vector<std::int32_t> unused;
  for (std::int32_t id = 0; id < config.vocab; ++id) {
    const bool ends = std::find(config.end_tokens.begin(), config.end_tokens.end(), id) !=
                      config.end_tokens.end();
    if (!ends && !tokenizer.has(id)) unused.push_back(id);
  }
  return unused;
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

}  // namespace

struct Engine::Impl {
  Impl(OpenModel opened, const EngineOptions& engine_options, const PackCallback& on_packed)
      : model(std::move(opened)),
        options(engine_options),
        transformer(*model.backend, model.config, model.tensors, on_packed),
        memory(account_settings(*model.backend, options, model.info.weight_bytes)),
        requests(std::make_shared<RequestModel>(
            RequestModel{{model.config.mask_token, model.config.end_tokens, model.config.reference,
                          unused_tokens(*model.tokenizer, model.config)},
                         model.config.vocab,
                         model.config.max_positions})) {
    check_mapped_files();
    if (!transformer.reads_checkpoint()) {
      model.tensors = {};
      model.checkpoint.reset();
    }
    model.info.kept_weights = kept_weights(transformer.conversions());
    for (const KeptWeights& kept : model.info.kept_weights) {
      log_info("{}: {} weights run as {}, relative error {:.2g}", model.info.path, kept.stored,
               name_of(kept.kept), kept.relative_error);
    }
  }

  LoopLimits limits() {
    return {options.row_budget, options.max_live_requests, &memory, options.slice_seconds,
            options.progress_seconds};
  }
  std::vector<float> run_logits(KvSlab& kv, std::span<const std::int32_t> tokens, ForwardPlan plan);

  OpenModel model;
  EngineOptions options;
  Transformer transformer;
  MemoryAccount memory;
  std::shared_ptr<const RequestModel> requests;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::load(const std::filesystem::path& model, const EngineOptions& options,
                    const LoadListener& on_progress) {
  try {
    validate_engine_options(options);
    LoadWatch watch(on_progress, options.progress_seconds, model.string());
    watch.opening();
    OpenModel opened = open_model(model, options);
    require_memory(opened, options);
    Engine engine(std::make_unique<Impl>(std::move(opened), options, watch.on_packed()));
    watch.loaded();
    return engine;
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
}

ModelInfo Engine::inspect(const std::filesystem::path& model, const EngineOptions& options) {
  validate_engine_options(options);
  OpenModel opened = open_model(model, options);
  opened.info.kept_weights =
      kept_weights(sample_conversions(*opened.backend, opened.config, opened.tensors));
  return std::move(opened.info);
}

MemoryEstimate Engine::estimate(const std::filesystem::path& model, const EngineOptions& options,
                                std::int64_t canvas_length, std::int64_t requests) {
  validate_engine_options(options);
  if (canvas_length < 1 || requests < 1) {
    fail(ErrorCode::kInvalidArgument,
         "canvas length and requests: expected at least 1, found {} and {}", canvas_length,
         requests);
  }
  return estimate_of(open_model(model, options), canvas_length, requests, options.row_budget);
}

const ModelInfo& Engine::info() const {
  return impl_->model.info;
}

ResolvedRequest Engine::resolve(GenerateRequest request) const {
  try {
    return resolve_request(std::move(request), impl_->requests);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
}

std::unique_ptr<StepLoop> Engine::make_loop() {
  return std::make_unique<StepLoop>(impl_->transformer, *impl_->model.backend,
                                    *impl_->model.tokenizer, impl_->requests, impl_->limits());
}

/// Requests of one call, each resolved when it is asked for.
struct Engine::Batch {
  std::size_t size = 0;
  std::function<ResolvedRequest(std::size_t)> resolved;
  std::function<std::span<const std::int32_t>(std::size_t)> prompt_ids;
  const StepCallback& on_step;
  const ResultCallback& on_result;
  const ForwardListener& on_progress;
};

std::vector<GenerateResult> Engine::run(const Batch& batch) {
  std::vector<GenerateResult> results;
  std::unique_ptr<StepLoop> loop;
  try {
    results.resize(batch.size);
    loop = make_loop();
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
  const auto keep = [&](std::size_t number, GenerateResult result) {
    results[number] = std::move(result);
    if (batch.on_result) batch.on_result(number, results[number]);
  };
  for (std::size_t i = 0; i < batch.size; ++i) {
    GenerateResult failed;
    try {
      loop->submit(i, batch.resolved(i), batch.on_progress);
      continue;
    } catch (...) {
      failed.error = current_failure();
      failed.finish_reason = FinishReason::kError;
    }
    try {
      const std::span<const std::int32_t> ids = batch.prompt_ids(i);
      failed.prompt_ids.assign(ids.begin(), ids.end());
    } catch (const std::bad_alloc&) {  // the error is what matters
    }
    keep(i, std::move(failed));
  }
  // It throws only what the callbacks throw.
  while (loop->step(batch.on_step, keep)) {
  }
  return results;
}

std::vector<GenerateResult> Engine::generate(std::span<const GenerateRequest> requests,
                                             const StepCallback& on_step,
                                             const ResultCallback& on_result,
                                             const ForwardListener& on_progress) {
  return run({requests.size(), [&](std::size_t i) { return resolve(requests[i]); },
              [&](std::size_t i) { return std::span(requests[i].prompt_ids); }, on_step, on_result,
              on_progress});
}

std::vector<GenerateResult> Engine::generate(std::span<const ResolvedRequest> requests,
                                             const StepCallback& on_step,
                                             const ResultCallback& on_result,
                                             const ForwardListener& on_progress) {
  return run({requests.size(), [&](std::size_t i) { return requests[i]; },
              [&](std::size_t i) { return requests[i].prompt_ids(); }, on_step, on_result,
              on_progress});
}

namespace {

std::vector<std::int32_t> encode_around(const Tokenizer& tokenizer, std::string_view text,
                                        AroundText around, std::size_t most) {
  const SurroundingTokens& asked = tokenizer.surrounding();
  const bool wanted = around != AroundText::kNothing;
  const std::size_t added = wanted ? asked.before.size() + asked.after.size() : 0;
  std::vector<std::int32_t> ids = tokenizer.encode(text, most - std::min(most, added));
  const bool there = !asked.before.empty() && !ids.empty() && ids.front() == asked.before.front();
  if (!wanted || (around == AroundText::kUnlessThere && there)) return ids;
  ids.insert(ids.begin(), asked.before.begin(), asked.before.end());
  ids.insert(ids.end(), asked.after.begin(), asked.after.end());
  return ids;
}

}  // namespace

std::vector<std::int32_t> Engine::tokenize(std::string_view text, AroundText around) const {
  return encode_around(*impl_->model.tokenizer, text, around, Tokenizer::kNoLimit);
}

std::vector<std::int32_t> Engine::tokenize_prompt(std::string_view text, AroundText around) const {
  return encode_around(*impl_->model.tokenizer, text, around,
                       static_cast<std::size_t>(impl_->model.config.max_positions));
}

std::string Engine::detokenize(std::span<const std::int32_t> ids, bool skip_special) const {
  return to_valid_utf8(answer_bytes(ids, *impl_->model.tokenizer, skip_special));
}

std::string Engine::token_bytes(std::int32_t id) const {
  return answer_bytes(std::span(&id, 1), *impl_->model.tokenizer, false);
}

bool Engine::has_token(std::int32_t id) const {
  return impl_->model.tokenizer->has(id);
}

bool Engine::is_special(std::int32_t id) const {
  return impl_->model.tokenizer->is_special(id);
}

bool Engine::has_chat_template() const {
  return impl_->model.chat_template.has_value();
}

std::string Engine::apply_chat_template(std::span<const ChatMessage> messages,
                                        bool add_generation_prompt) const {
  if (!has_chat_template()) {
    fail(ErrorCode::kUnsupported,
         "{}: the model has no chat template; give the prompt as it is (--raw) or a template "
         "(--chat-template FILE)",
         impl_->model.info.path);
  }
  std::vector<TemplateMessage> turns;
  turns.reserve(messages.size());
  for (const ChatMessage& message : messages) {
    turns.push_back({message.role, message.content, message.fields});
  }
  return impl_->model.chat_template->apply(turns, add_generation_prompt);
}

std::vector<float> Engine::Impl::run_logits(KvSlab& kv, std::span<const std::int32_t> tokens,
                                            ForwardPlan plan) {
  // Scoring position j + logit_shift reads row j: every query row's own, unshifted logits.
  for (const std::int32_t position : plan.query) {
    plan.score.push_back(position + model.config.logit_shift);
  }
  const std::vector<ScoreRequest> scores(plan.score.size());
  const SequenceInput input{&kv, tokens, &plan, scores};
  ForwardPass pass;
  transformer.start(pass, std::span(&input, 1));
  transformer.run_layers(pass, {0, static_cast<std::int32_t>(model.config.layers)});
  return transformer.logits(pass);
}

std::vector<float> Engine::logits(std::span<const std::int32_t> canvas) {
  return window_logits(canvas, {}, {0, 0}, 0);
}

std::vector<float> Engine::window_logits(std::span<const std::int32_t> canvas,
                                         std::span<const std::int32_t> window_canvas,
                                         std::pair<std::int32_t, std::int32_t> window,
                                         std::int32_t attend_end) {
  const auto length = static_cast<std::int32_t>(canvas.size());
  const auto in_vocabulary = [&](std::span<const std::int32_t> tokens) {
    return std::all_of(tokens.begin(), tokens.end(),
                       [&](std::int32_t id) { return id >= 0 && id < info().vocab; });
  };
  const bool has_window = window.first != window.second;
  const bool window_fits = !has_window || (window.first >= 0 && window.first < window.second &&
                                           window.second <= length && attend_end <= length &&
                                           window_canvas.size() == canvas.size());
  if (length == 0 || length > info().max_positions || !window_fits || !in_vocabulary(canvas) ||
      !in_vocabulary(window_canvas)) {
    fail(ErrorCode::kInvalidArgument,
         "logits: expected a canvas of 1 to {} tokens of the vocabulary and a window inside it",
         info().max_positions);
  }
  const auto kv = impl_->model.backend->allocate_kv(impl_->transformer.kv_shape(length));
  std::vector<float> values =
      impl_->run_logits(*kv, canvas, {positions_of({0, length}), {{0, length}}, {}});
  if (!has_window) return values;
  const std::int32_t attend = std::max(attend_end, window.second);
  return impl_->run_logits(*kv, window_canvas,
                           {positions_of({window.first, window.second}), {{0, attend}}, {}});
}

}  // namespace fdllm
