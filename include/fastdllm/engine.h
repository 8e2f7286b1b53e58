#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastdllm/error.h"
#include "fastdllm/events.h"
#include "fastdllm/options.h"
#include "fastdllm/progress.h"

namespace fdllm {

struct LoadedModel;

struct ChatMessage {
  /// "system", "user" or "assistant"; others where the chat template takes them ("developer" is
  /// "system" where it doesn't).
  std::string role;
  std::string content;
  /// Other members of the message that its chat template may ask for, by name, in JSON: "name",
  /// "reasoning_content", "tool_call_id", each a string, and "tool_calls", a list of {"id", "type",
  /// "function": {"name", "arguments": {...}}}.
  std::vector<std::pair<std::string, std::string>> fields = {};
  /// The content in JSON where it was no text: "null", or a list of {"type": "text", "text"}, which
  /// a template that goes through such parts gets instead of `content`, their texts in one.
  std::string content_json = {};
};

/// What stands around a text that is no chat: a model's files may ask for BOS before it or EOS
/// after it (tokenizer.json's `post_processor`, `add_bos_token`, GGUF's `add_bos_token`). Chat
/// templates write theirs themselves.
enum class AroundText : std::uint8_t {
  kNothing,
  kAsFilesAsk,
  kUnlessThere,  ///< as the files ask, unless the text begins with the token that is to come first
};

/// One thing to generate.
struct GenerateRequest {
  std::vector<std::int32_t> prompt_ids;
  GenerateOptions options;
  /// Infilling: prompt_ids is then the whole canvas, and these positions of it, ascending, are to
  /// be filled in, whatever the ids there are. gen_length is ignored, blocks are counted from the
  /// first hole. Empty: gen_length masks follow the prompt.
  std::vector<std::int32_t> holes = {};
};

/// A request that an engine has checked, with its preset and its defaults filled in. Made by
/// Engine::resolve(); only for the engine that made it. Copies are cheap.
class ResolvedRequest {
 public:
  /// All options have the values that decoding goes by: block_length, cache, the numbers of the
  /// rule that was chosen and no others ...
  const GenerateOptions& options() const;
  std::span<const std::int32_t> prompt_ids() const;
  std::span<const std::int32_t> holes() const;
  /// Positions that are masked at first.
  std::int32_t masks() const;
  /// Whether TokenEvent::confidence is the committed token's probability, so that its logarithm
  /// means something.
  bool confidence_is_probability() const;
  /// Whether random numbers are drawn: if not, requests that differ in their seed alone get the
  /// same answer.
  bool depends_on_seed() const;

  struct Data;
  explicit ResolvedRequest(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const Data& data() const { return *data_; }

 private:
  std::shared_ptr<const Data> data_;
};

/// An unmask rule that a model has.
struct RuleInfo {
  std::string name, summary;
  std::string chosen_by;  ///< the option whose presence chooses it; "alg": it is chosen by its name
  std::vector<std::string> numbers;  ///< the options that it reads, besides alg
};

/// How weights that are stored in one type are kept: converted, or as they are.
struct KeptWeights {
  std::string stored;  ///< "Q4_0"
  WeightType kept = WeightType::kBF16;
  /// Root of the squared error that converting added, over the squared stored weights; 0: none.
  double relative_error = 0;
};

/// What is known about a model before anything runs.
struct ModelInfo {
  std::string path, family, format;
  std::string backend;        ///< e.g. "cpu avx512bf16, 2 threads"
  std::string chat_template;  ///< its source; empty where there is none
  /// Why the chat template can't be used, and what to do; empty where it can.
  std::string chat_template_problem;
  std::vector<std::string> chat_templates;  ///< the names of the model's templates
  bool reads_tool_calls = false;            ///< the chat template does: ChatMessage::fields
  std::int64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  std::int64_t tokenizer_vocab = 0, max_positions = 0, parameters = 0;
  bool tied_embeddings = false, qkv_bias = false;
  std::int32_t logit_shift = 0, mask_token = -1;
  std::vector<std::int32_t> end_tokens;
  std::vector<RuleInfo> rules;              ///< the first is the default
  std::vector<std::string> unused_options;  ///< names in generate_options() that it never takes
  std::vector<std::pair<std::string, std::int64_t>> stored_dtypes;  ///< "BF16" -> tensors
  WeightType weights = WeightType::kBF16;  ///< what the engine's weight type stands for
  std::uint64_t weight_bytes = 0;          ///< packed, in that type
  /// Of the matrices. load() measures all weights, inspect() the first 16 rows of the matrices of
  /// three layers and of the head.
  std::vector<KeptWeights> kept_weights;
};

/// Bytes that a canvas of `canvas_length` tokens and `requests` live requests need.
struct MemoryEstimate {
  std::uint64_t weights = 0, kv = 0, buffers = 0;
  std::uint64_t total() const { return weights + kv + buffers; }
};

/// What Engine::logits() runs.
struct LogitsQuery {
  std::span<const std::int32_t> canvas;  ///< run whole, first
  /// Where it isn't empty, the rows [first, second) of `window_canvas` are then run on top of the
  /// K/V rows [0, attend_end) of the first run, and theirs are the logits.
  std::pair<std::int32_t, std::int32_t> window = {};
  std::span<const std::int32_t> window_canvas = {};
  std::int32_t attend_end = 0;
  /// Positions of a block of a model that attends whole blocks; 0: as its configuration says.
  std::int32_t causal_block = 0;
};

/// A loaded model with its tokenizer. Not thread-safe: one thread calls generate() at a time (it
/// uses all of the engine's threads itself).
class Engine {
 public:
  /// Loads a checkpoint folder. `on_progress` is called at the beginning of each phase
  /// and about every EngineOptions::progress_seconds. Throws Error.
  static Engine load(const std::filesystem::path& model, const EngineOptions& options = {},
                     const LoadListener& on_progress = {});
  /// What load() would load, without packing any weight.
  static ModelInfo inspect(const std::filesystem::path& model, const EngineOptions& options = {});
  static MemoryEstimate estimate(const std::filesystem::path& model, const EngineOptions& options,
                                 std::int64_t canvas_length, std::int64_t requests);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const ModelInfo& info() const;

  /// Called after every forward of every request; return false to cancel that request.
  using StepCallback = std::function<bool(const StepEvent&)>;
  /// Called as soon as a request has ended (requests end in any order).
  using ResultCallback = std::function<void(std::size_t request, const GenerateResult&)>;

  /// Checks a request and fills in the defaults of this model. Throws kInvalidArgument for what is
  /// wrong with its options or its prompt.
  ResolvedRequest resolve(GenerateRequest request) const;

  /// Generates all requests in one step loop, batching their forwards; results in the order of
  /// `requests`. A request's result never depends on the others. A request that fails ends only
  /// itself (finish_reason kError); invalid ones are reported the same way. `on_progress` hears
  /// of forwards that take longer than EngineOptions::progress_seconds; it changes no result.
  /// Throws Error only where there is no memory to begin; what a callback throws leaves it too, and
  /// with it all results.
  std::vector<GenerateResult> generate(std::span<const GenerateRequest> requests,
                                       const StepCallback& on_step = {},
                                       const ResultCallback& on_result = {},
                                       const ForwardListener& on_progress = {});
  /// The same for requests that this engine has resolved.
  std::vector<GenerateResult> generate(std::span<const ResolvedRequest> requests,
                                       const StepCallback& on_step = {},
                                       const ResultCallback& on_result = {},
                                       const ForwardListener& on_progress = {});

  /// Token ids of a text; texts of special tokens become those tokens.
  std::vector<std::int32_t> tokenize(std::string_view text,
                                     AroundText around = AroundText::kNothing) const;
  /// The same for what must fit into the model's positions. More tokens throw kInvalidArgument,
  /// most of the time before the work of tokenizing: the bytes tell that they are too many.
  std::vector<std::int32_t> tokenize_prompt(std::string_view text,
                                            AroundText around = AroundText::kNothing) const;
  /// Text of token ids; bytes that are no valid UTF-8 become U+FFFD, ids it does not know nothing.
  std::string detokenize(std::span<const std::int32_t> ids, bool skip_special = true) const;
  /// The bytes of one token, which may be part of a character.
  std::string token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;
  /// Whether the tokenizer has a token of this id: a model's matrix may have more rows.
  bool has_token(std::int32_t id) const;
  /// The prompt text of a conversation by the model's chat template, ready to be tokenized. Throws
  /// kInvalidArgument where the template refuses the conversation, kUnsupported for tool calls that
  /// it doesn't read, and what ModelInfo::chat_template_problem says.
  std::string apply_chat_template(std::span<const ChatMessage> messages,
                                  bool add_generation_prompt = true) const;
  bool has_chat_template() const;

  /// Logits [query rows, vocab] of one forward in the model's own (unshifted) order: for checks
  /// only. Throws kInvalidArgument for tokens or a window that are not there.
  std::vector<float> logits(const LogitsQuery& query);

 private:
  friend struct EngineAccess;
  struct Batch;
  std::vector<GenerateResult> run(const Batch& batch);
  explicit Engine(std::unique_ptr<LoadedModel> model);
  std::unique_ptr<LoadedModel> model_;
};

}  // namespace fdllm
