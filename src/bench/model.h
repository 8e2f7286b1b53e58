#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "bench/timed_backend.h"
#include "engine/load.h"
#include "engine/step_loop.h"
#include "model/config.h"
#include "model/transformer.h"

namespace fdllm::bench {

/// The model to measure: a shape with random weights, or a checkpoint.
struct ModelChoice {
  std::string shape;                   ///< empty: `path`
  std::filesystem::path path;          ///< empty: `shape`
  std::optional<std::int64_t> layers;  ///< another depth, for a shape only
  std::string name = {};               ///< of the model at `path`; empty: the path
};

/// Throws kInvalidArgument unless exactly one of shape and path is given, the shape is known, and
/// `layers` is given for a shape only.
void check_choice(const ModelChoice& choice);

/// An engine whose back end is timed, and whose forwards don't pause between layers, so that each
/// has a time of its own.
class BenchModel {
 public:
  /// Throws as check_choice() and Engine::load().
  BenchModel(const ModelChoice& choice, const EngineOptions& options,
             const LoadListener& on_progress = {});

  const std::string& name() const { return name_; }
  const Engine& engine() const { return *engine_; }
  const ModelInfo& info() const { return engine_->info(); }
  bool has_random_weights() const { return has_random_weights_; }
  const ModelConfig& config() const { return inside().open.config; }
  /// Layers that the shape or checkpoint has by itself.
  std::int64_t whole_layers() const { return whole_layers_; }
  /// The tokens of a user's message in the chat template, where the model has one. Only with a
  /// tokenizer.
  std::vector<std::int32_t> prompt_tokens(const std::string& message) const;
  TimedBackend& backend() { return *backend_; }
  Transformer& transformer() { return inside().transformer; }
  std::unique_ptr<StepLoop> make_loop() { return inside().make_loop(); }
  /// Seconds from the opened file to packed weights.
  double load_seconds() const { return load_seconds_; }

 private:
  LoadedModel& inside() const { return EngineAccess::model_of(*engine_); }

  std::string name_;
  std::unique_ptr<Engine> engine_;
  TimedBackend* backend_ = nullptr;  ///< the engine's
  bool has_random_weights_ = false;
  std::int64_t whole_layers_ = 0;
  double load_seconds_ = 0;
};

/// `count` tokens of the model's vocabulary, none of them the mask; the same ones every time.
std::vector<std::int32_t> random_tokens(const ModelConfig& config, std::int64_t count,
                                        std::uint64_t seed = 0);

}  // namespace fdllm::bench
