#include "fastdllm/engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/failure.h"
#include "base/utf8.h"
#include "engine/load.h"
#include "engine/resolve_request.h"
#include "engine/step_loop.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

namespace fdllm {
Engine::Engine(std::unique_ptr<LoadedModel> model) : model_(std::move(model)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine EngineAccess::make(std::unique_ptr<LoadedModel> model) {
  return Engine(std::move(model));
}

LoadedModel& EngineAccess::model_of(Engine& engine) {
  return *engine.model_;
}

Engine Engine::load(const std::filesystem::path& model, const EngineOptions& options,
                    const LoadListener& on_progress) {
  return Engine(load_model({.path = model}, options, on_progress));
}

ModelInfo Engine::inspect(const std::filesystem::path& model, const EngineOptions& options) {
  OpenModel opened = open_model({.path = model}, options);
  opened.info.kept_weights =
      kept_weights(sample_conversions(*opened.backend, opened.config, opened.tensors));
  return std::move(opened.info);
}

MemoryEstimate Engine::estimate(const std::filesystem::path& model, const EngineOptions& options,
                                std::int64_t canvas_length, std::int64_t requests) {
  if (canvas_length < 1 || requests < 1) {
    fail(ErrorCode::kInvalidArgument,
         "canvas length and requests: expected at least 1, found {} and {}", canvas_length,
         requests);
  }
  return estimate_of(open_model({.path = model}, options), canvas_length, requests,
                     options.row_budget);
}

const ModelInfo& Engine::info() const {
  return model_->open.info;
}

ResolvedRequest Engine::resolve(GenerateRequest request) const {
  try {
    return resolve_request(std::move(request), model_->requests);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
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
    loop = model_->make_loop();
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

const Tokenizer& tokenizer_of(const LoadedModel& model) {
  if (model.open.tokenizer) return *model.open.tokenizer;
  fail(ErrorCode::kUnsupported, "{}: has no tokenizer", model.open.info.path);
}

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
  return encode_around(tokenizer_of(*model_), text, around, Tokenizer::kNoLimit);
}

std::vector<std::int32_t> Engine::tokenize_prompt(std::string_view text, AroundText around) const {
  return encode_around(tokenizer_of(*model_), text, around,
                       static_cast<std::size_t>(model_->open.config.max_positions));
}

std::string Engine::detokenize(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return to_valid_utf8(bytes);
}

std::string Engine::token_bytes(std::int32_t id) const {
  return has_token(id) ? model_->open.tokenizer->decode_bytes(std::span(&id, 1), false) : "";
}

bool Engine::has_token(std::int32_t id) const {
  return model_->open.tokenizer && model_->open.tokenizer->has(id);
}

bool Engine::is_special(std::int32_t id) const {
  return has_token(id) && model_->open.tokenizer->is_special(id);
}

bool Engine::has_chat_template() const {
  return model_->open.chat_template.has_value();
}

std::string Engine::apply_chat_template(std::span<const ChatMessage> messages,
                                        bool add_generation_prompt) const {
  if (!has_chat_template()) {
    fail(ErrorCode::kUnsupported,
         "{}: the model has no chat template; give the prompt as it is (--raw) or a template "
         "(--chat-template FILE)",
         model_->open.info.path);
  }
  std::vector<TemplateMessage> turns;
  turns.reserve(messages.size());
  for (const ChatMessage& message : messages) {
    turns.push_back({message.role, message.content, message.fields, message.content_json});
  }
  return model_->open.chat_template->apply(turns, add_generation_prompt);
}

namespace {

std::vector<float> run_logits(LoadedModel& model, KvSlab& kv, std::span<const std::int32_t> tokens,
                              std::vector<ForwardPlan> plans) {
  std::size_t rows = 0;
  for (ForwardPlan& plan : plans) {
    // Scoring position j + logit_shift reads row j: every query row's own, unshifted logits.
    for (const std::int32_t position : plan.query) {
      plan.score.push_back(position + model.open.config.logit_shift);
    }
    rows = std::max(rows, plan.score.size());
  }
  const std::vector<ScoreRequest> scores(rows);
  std::vector<SequenceInput> inputs;
  for (const ForwardPlan& plan : plans) {
    inputs.push_back({&kv, tokens, &plan, std::span(scores).first(plan.score.size())});
  }
  ForwardPass pass;
  model.transformer.start(pass, inputs);
  model.transformer.run_layers(pass, {0, static_cast<std::int32_t>(model.open.config.layers)});
  return model.transformer.logits(pass);
}

}  // namespace

std::vector<float> Engine::logits(const LogitsQuery& query) {
  const auto length = static_cast<std::int32_t>(query.canvas.size());
  const auto in_vocabulary = [&](std::span<const std::int32_t> tokens) {
    return std::all_of(tokens.begin(), tokens.end(),
                       [&](std::int32_t id) { return id >= 0 && id < info().vocab; });
  };
  const Range window{query.window.first, query.window.second};
  const bool has_window = window.size() != 0;
  const bool window_fits = !has_window || (window.begin >= 0 && window.begin < window.end &&
                                           window.end <= length && query.attend_end <= length &&
                                           query.window_canvas.size() == query.canvas.size());
  if (length == 0 || length > info().max_positions || !window_fits ||
      !in_vocabulary(query.canvas) || !in_vocabulary(query.window_canvas)) {
    fail(ErrorCode::kInvalidArgument,
         "logits: expected a canvas of 1 to {} tokens of the vocabulary and a window inside it",
         info().max_positions);
  }
  const std::int32_t model_block = model_->open.config.causal_block;
  const std::int32_t block =
      model_block > 0 && query.causal_block > 0 ? query.causal_block : model_block;
  const auto plans_of = [&](Range rows, std::int32_t attend_end) -> std::vector<ForwardPlan> {
    if (block > 0) return block_causal_plans(rows, block, length);
    return {{positions_of(rows), {{0, attend_end}}, {}}};
  };
  const auto kv = model_->open.backend->allocate_kv(model_->transformer.kv_shape(length));
  std::vector<float> values = run_logits(*model_, *kv, query.canvas, plans_of({0, length}, length));
  if (!has_window) return values;
  return run_logits(*model_, *kv, query.window_canvas,
                    plans_of(window, std::max(query.attend_end, window.end)));
}

}  // namespace fdllm
