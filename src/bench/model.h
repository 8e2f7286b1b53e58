#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "fastdllm/options.h"
#include "fastdllm/progress.h"

#include "bench/timed_backend.h"
#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/transformer.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fdllm::bench {

/// The model to measure: a shape with random weights, or a checkpoint.
struct ModelChoice {
  std::string shape;                   ///< empty: `path`
  std::filesystem::path path;          ///< empty: `shape`
  std::optional<std::int64_t> layers;  ///< another depth, for a shape only
};

/// Throws kInvalidArgument unless exactly one of shape and path is given, the shape is known, and
/// `layers` is given for a shape only.
void check_choice(const ModelChoice& choice);

/// A model on a back end that is timed.
class BenchModel {
 public:
  /// Throws as check_choice(), kOutOfMemory where the packed weights do not fit, and what opening a
  /// checkpoint throws.
  BenchModel(const ModelChoice& choice, const EngineOptions& options,
             const LoadListener& on_progress = {});

  const std::string& name() const { return name_; }
  bool has_random_weights() const { return tokenizer_ == nullptr; }
  const ModelConfig& config() const { return config_; }
  /// Layers that the shape or checkpoint has by itself.
  std::int64_t whole_layers() const { return whole_layers_; }
  std::int64_t parameters() const { return parameters_; }
  /// The weight type that the options ask for or leave to the checkpoint.
  WeightType weights() const { return weights_; }
  /// nullptr with random weights.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  /// The tokens of a user's message in the chat template, where the model has one. Only with a
  /// tokenizer.
  std::vector<std::int32_t> prompt_tokens(const std::string& message) const;
  TimedBackend& backend() { return *backend_; }
  Transformer& transformer() { return *transformer_; }
  /// Seconds from the opened file to packed weights.
  double load_seconds() const { return load_seconds_; }

 private:
  std::string name_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  ModelConfig config_;
  std::unique_ptr<TimedBackend> backend_;
  std::unique_ptr<Transformer> transformer_;
  std::int64_t parameters_ = 0, whole_layers_ = 0;
  double load_seconds_ = 0;
  WeightType weights_ = WeightType::kAuto;
};

/// `count` tokens of the model's vocabulary, none of them the mask; the same ones every time.
std::vector<std::int32_t> random_tokens(const ModelConfig& config, std::int64_t count,
                                        std::uint64_t seed = 0);

}  // namespace fdllm::bench
