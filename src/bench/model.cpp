#include "bench/model.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "base/system_memory.h"
#include "bench/random_model.h"
#include "bench/shapes.h"
#include "engine/backend_options.h"
#include "engine/load_watch.h"
#include "engine/open_text.h"

namespace fdllm::bench {
namespace {

void require_memory(const std::string& name, std::uint64_t needed,
                    std::optional<std::uint64_t> available) {
  if (available && needed > *available) {
    fail(ErrorCode::kOutOfMemory,
         "{}: the weights need {}, {} is available; try fewer bits (--weights) or --layers", name,
         bytes_text(needed), bytes_text(*available));
  }
}

}  // namespace

void check_choice(const ModelChoice& choice) {
  if (choice.shape.empty() == choice.path.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "give a model: either --shape S for random weights of a known shape ({}), or --model DIR",
         shape_names());
  }
  if (choice.layers && choice.shape.empty()) {
    fail(ErrorCode::kInvalidArgument,
         "--layers contradicts --model: a checkpoint has the layers that it has");
  }
  if (!choice.shape.empty()) find_shape(choice.shape);
}

BenchModel::BenchModel(const ModelChoice& choice, const EngineOptions& options,
                       const LoadListener& on_progress) {
  check_choice(choice);
  LoadWatch watch(on_progress, options.progress_seconds,
                  choice.path.empty() ? choice.shape : choice.path.string());
  watch.opening();
  if (choice.path.empty()) {
    name_ = choice.shape;
    checkpoint_ = make_random_checkpoint(find_shape(choice.shape), choice.layers);
  }
  const auto begin = std::chrono::steady_clock::now();
  if (!choice.path.empty()) {
    name_ = choice.path.string();
    checkpoint_ = open_checkpoint(choice.path);
  }
  const Family& family = family_of(*checkpoint_);
  config_ = family.read_config(*checkpoint_);
  whole_layers_ = choice.shape.empty() ? config_.layers : layers_of(find_shape(choice.shape));
  const ModelTensors tensors = resolve_tensors(*checkpoint_, family, config_);
  parameters_ = tensors.parameters;
  if (!choice.path.empty()) {
    ModelText text = open_text(*checkpoint_);
    tokenizer_ = std::move(text.tokenizer);
    chat_template_ = choose_chat_template(text.chat_templates, {});
    add_end_tokens(family, *tokenizer_, config_);
  }
  EngineOptions resolved = options;
  weights_ = resolved.weights = resolve_weights(options.weights, tensors);
  backend_ = std::make_unique<TimedBackend>(make_backend(backend_options(resolved)));
  require_memory(name_, Transformer::packed_bytes(*backend_, config_),
                 options.memory_limit != 0 ? std::optional(options.memory_limit)
                                           : backend_->available_memory());
  transformer_ = std::make_unique<Transformer>(*backend_, config_, tensors, watch.on_packed());
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  watch.loaded();
}

std::vector<std::int32_t> BenchModel::prompt_tokens(const std::string& message) const {
  check(tokenizer_ != nullptr, "a text for random weights");
  if (!chat_template_) return tokenizer_->encode(message);
  const TemplateMessage turn{"user", message};
  return tokenizer_->encode(chat_template_->apply(std::span(&turn, 1), true));
}

std::vector<std::int32_t> random_tokens(const ModelConfig& config, std::int64_t count,
                                        std::uint64_t seed) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(static_cast<std::size_t>(count));
  for (std::uint32_t i = 0; std::ssize(tokens) < count; ++i) {
    const auto token = static_cast<std::int32_t>(philox(seed, {i, 0, 0, 0})[0] %
                                                 static_cast<std::uint64_t>(config.vocab));
    if (token != config.mask_token) tokens.push_back(token);
  }
  return tokens;
}

}  // namespace fdllm::bench
