#include "bench/model.h"

#include <chrono>
#include <limits>
#include <span>
#include <utility>

#include "backend/backend.h"
#include "base/check.h"
#include "base/rng.h"
#include "bench/random_model.h"
#include "bench/shapes.h"

namespace fdllm::bench {

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
                       const LoadListener& on_progress)
    : name_(choice.name), has_random_weights_(choice.path.empty()) {
  check_choice(choice);
  if (name_.empty()) name_ = has_random_weights_ ? choice.shape : choice.path.string();
  ModelSource source{.path = choice.path};
  if (has_random_weights_) {
    source.checkpoint = make_random_checkpoint(find_shape(choice.shape), choice.layers);
  }
  source.make_backend = [this](const BackendOptions& backend_options) {
    auto timed = std::make_unique<TimedBackend>(make_backend(backend_options));
    backend_ = timed.get();
    return timed;
  };
  EngineOptions whole_forwards = options;
  whole_forwards.slice_seconds = std::numeric_limits<double>::max();
  const auto begin = std::chrono::steady_clock::now();
  engine_ = std::make_unique<Engine>(
      EngineAccess::make(load_model(std::move(source), whole_forwards, on_progress)));
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  whole_layers_ = has_random_weights_ ? layers_of(find_shape(choice.shape)) : config().layers;
}

std::vector<std::int32_t> BenchModel::prompt_tokens(const std::string& message) const {
  if (!engine_->has_chat_template()) return engine_->tokenize(message);
  const ChatMessage turn{"user", message};
  return engine_->tokenize(engine_->apply_chat_template(std::span(&turn, 1)));
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
