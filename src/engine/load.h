#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "fastdllm/engine.h"

#include "backend/backend.h"
#include "engine/memory_account.h"
#include "engine/resolve_request.h"
#include "engine/step_loop.h"
#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/transformer.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fdllm {

/// Where a model comes from, and how the back end is made that it runs on.
struct ModelSource {
  std::filesystem::path path = {};  ///< the checkpoint to open
  /// Or this one, which has no text: neither a tokenizer nor a chat template.
  std::unique_ptr<Checkpoint> checkpoint = nullptr;
  std::function<std::unique_ptr<Backend>(const BackendOptions&)> make_backend = fdllm::make_backend;
};

/// A model but for its packed weights.
struct OpenModel {
  std::unique_ptr<Checkpoint> checkpoint;  ///< once loaded: nullptr where nothing more is read
  const Family* family = nullptr;
  ModelConfig config;
  ModelTensors tensors;
  std::unique_ptr<Tokenizer> tokenizer;  ///< nullptr: the checkpoint has no text
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<Backend> backend;
  ModelInfo info;
};

/// Throws Error for options that mean nothing, and for what can't be opened.
OpenModel open_model(ModelSource source, const EngineOptions& options);
MemoryEstimate estimate_of(const OpenModel& model, std::int64_t canvas_length,
                           std::int64_t requests, std::int64_t row_budget);
/// ModelInfo::kept_weights.
std::vector<KeptWeights> kept_weights(const ConversionSums& sums);

/// A model that is ready to run: what stands behind an Engine.
struct LoadedModel {
  LoadedModel(OpenModel opened, const EngineOptions& engine_options, const PackCallback& on_packed);

  /// A loop of its own; at most one of a model may run at a time.
  std::unique_ptr<StepLoop> make_loop();

  OpenModel open;
  EngineOptions options;
  Transformer transformer;
  MemoryAccount memory;
  std::shared_ptr<const RequestModel> requests;  ///< what they are resolved against
};

/// The one way to load a model. Throws as Engine::load().
std::unique_ptr<LoadedModel> load_model(ModelSource source, const EngineOptions& options,
                                        const LoadListener& on_progress = {});

/// An Engine's inside, for those of the project that bring a model of their own choice or run its
/// parts themselves.
struct EngineAccess {
  static Engine make(std::unique_ptr<LoadedModel> model);
  static LoadedModel& model_of(Engine& engine);
};

}  // namespace fdllm
