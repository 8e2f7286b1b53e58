#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fdllm {

/// Which K/V are reused between the steps of a block (paper section 3.2).
enum class CacheKind : std::uint8_t {
  kNone,    ///< every step is a forward of the whole canvas
  kPrefix,  ///< K/V of everything before the block are kept; block and suffix are recomputed
  kDual,    ///< K/V of prefix and suffix are kept; only the block is recomputed (DualCache)
};

/// Which rows of its window a step recomputes (docs/decoding.md, "Beyond the paper").
enum class QueryRows : std::uint8_t {
  kAll,     ///< all of them, as the paper does
  kMasked,  ///< those still masked, and those committed in the step before
};

/// What is recomputed when a block begins (docs/decoding.md, "Beyond the paper").
enum class RefreshKind : std::uint8_t {
  kBlock,     ///< the whole canvas, as the paper does
  kVicinity,  ///< the rows around the block, and the block before it
  kDrift,     ///< the block; the whole canvas after it where confidence has fallen
  kNever,     ///< the block: the whole canvas is run once, by the first forward
};

/// Where LLaDA's confidence comes from.
enum class Remasking : std::uint8_t {
  kLowConfidence,  ///< the softmax probability of the chosen token
  kRandom,         ///< a uniform random number
};

/// What rules that compare a confidence with a bar compare (docs/decoding.md, "Temperature").
enum class Confidence : std::uint8_t {
  kRaw,        ///< the probability under the raw logits, whatever temperature and filters
  kReference,  ///< as the reference: Dream's after temperature, top_p and top_k
};

/// How weights are kept, converted at load from what the file holds. kF32 computes in f32, the
/// others in bf16 (docs/design.md). kInt8: 8 bits, one scale for each output channel; activations
/// are rounded to 8 bits too. kInt4: 4 bits, a scale for each 128 weights; the LM head has 8. A
/// group names how many weights (and activations) share a scale instead. kAuto chooses by what most
/// of the file's weights are stored in: floats give kBF16, 4 bits and less kInt4, others kInt8.
enum class WeightType : std::uint8_t {
  kAuto,
  kBF16,
  kF32,
  kInt8,
  kInt8Group128,
  kInt8Group32,
  kInt4,
  kInt4Group32
};

/// "auto", "bf16", "f32", "int8", "int8-g128", "int8-g32", "int4", "int4-g32": the values of
/// `--weights`.
std::string_view name_of(WeightType type);
/// All of them, in the order of the help.
std::span<const WeightType> weight_types();

/// How an Engine is made.
struct EngineOptions {
  /// Of several chat templates of the model the one with this name, else the file of one; empty:
  /// the one named "default", or the only one.
  std::string chat_template = {};
  std::string device = "cpu";
  std::string isa = "auto";  ///< auto | scalar | avx2 | avx512vnni | avx512bf16
  WeightType weights = WeightType::kAuto;
  int threads = 0;  ///< 0: one per physical core
  /// Rows that one forward may hold: the plans of the live requests are batched, oldest first, up
  /// to this many (a plan that is larger runs alone).
  std::int64_t row_budget = 512;
  /// A forward of many rows that takes longer than this pauses between layers, so that the steps of
  /// other requests need not wait for its end. Changes no result.
  double slice_seconds = 0.05;
  /// Those who listen to a load or a forward are told about its progress so often; 0: after each
  /// matrix and each layer. Changes no result.
  double progress_seconds = 0.1;
  /// Requests that hold K/V at once; the others wait.
  std::int32_t max_live_requests = 64;
  /// Bytes that weights, K/V and buffers may take; 0: what the machine has available.
  std::uint64_t memory_limit = 0;
};

/// Masked positions after a prompt where a request doesn't say how many it wants.
inline constexpr std::int32_t kDefaultGenLength = 128;

/// Stop strings that a request may have, and characters of each: all are looked for at every step.
inline constexpr std::size_t kMaxStops = 16;
inline constexpr std::size_t kMaxStopLength = 1024;

/// The values that a number may have.
struct NumberRange {
  /// Without an upper end.
  static constexpr double kOpen = std::numeric_limits<float>::max();

  double least = 0;
  double greatest = kOpen;
  bool above_least = false;  ///< `least` itself is not one of them

  constexpr bool contains(double value) const {
    return (above_least ? value > least : value >= least) && value <= greatest;
  }
};

/// The unmask rule of a request. Rules declare the numbers that they take (generate_options() lists
/// all of them); most rules are chosen by giving the number that is theirs, the others by name.
class RuleOptions {
 public:
  /// The rule's name, where it is chosen by that.
  std::optional<std::string> alg = {};

  /// Gives the number of that name ("tokens_per_forward", or with dashes), in place of what was
  /// given before. Throws kInvalidArgument where no rule declares one of that name.
  RuleOptions& set(std::string_view name, double value);
  /// What was given; nullopt: nothing. Throws as set().
  std::optional<double> get(std::string_view name) const;
  /// Takes back what was given. Throws as set().
  void reset(std::string_view name);

 private:
  std::vector<std::pair<std::string_view, double>> numbers_;  ///< names as they are declared
};

/// How one request is decoded. The defaults are the paper's (LLaDA: dual cache, threshold 0.9;
/// Dream: dual cache, confidence_threshold 0.9). What is nullopt here is filled in when the request
/// is resolved.
struct GenerateOptions {
  /// A name for several of the values below, which hold where a request gives none of its own.
  std::optional<std::string> preset;

  /// Masked positions after the prompt. Default: kDefaultGenLength, or what a longer prompt leaves
  /// of the model's positions.
  std::optional<std::int32_t> gen_length;
  /// Default 32 (uncached Dream: the whole canvas). The last block is shorter where it doesn't
  /// divide gen_length.
  std::optional<std::int32_t> block_length;
  /// Default kDual.
  std::optional<CacheKind> cache;

  // Which rows are run and attended, beyond the paper; all but suffix_window need a cache.
  /// Default kAll.
  std::optional<QueryRows> query;
  /// Rows before the live block that every step recomputes too; default 0.
  std::optional<std::int32_t> query_before;
  /// Default kBlock.
  std::optional<RefreshKind> refresh;
  /// The whole canvas at every so many-th block at the latest; default 1 with RefreshKind::kBlock,
  /// else never again.
  std::optional<std::int32_t> refresh_interval;
  /// kVicinity: rows before and after the block; default block_length.
  std::optional<std::int32_t> refresh_radius;
  /// kDrift: the fall of the mean confidence that asks for a refresh; default 0.1.
  std::optional<double> refresh_drift;
  /// Masks after the live block that are run and attended, besides the last position; default all.
  std::optional<std::int32_t> suffix_window;

  /// The canvas begins with so many masks and grows by blocks while no end token is confident, up
  /// to gen_length. Default: gen_length.
  std::optional<std::int32_t> initial_length;

  // Of models whose rows attend whole blocks (SDAR, Fast-dLLM v2), which take none of the seven
  // above.
  /// Fast-dLLM v2: positions of a block that are filled before the next so many; default 8.
  std::optional<std::int32_t> sub_block_length;
  /// Fast-dLLM v2: a sub-block's steps run its own rows only; default false.
  std::optional<bool> block_cache;
  /// A finished block is stored in one forward with the next block's first step; default true. The
  /// same result either way.
  std::optional<bool> fuse_store;

  RuleOptions rule;

  Remasking remasking = Remasking::kLowConfidence;
  Confidence confidence = Confidence::kRaw;
  double temperature = 0;  ///< below 0.0001: greedy
  double top_p = 1;
  std::int32_t top_k = 0;
  double cfg_scale = 0;  ///< LLaDA: classifier-free guidance, cache none only
  std::uint64_t seed = 0;

  /// Stop when no mask precedes the first committed end token of the answer: exact for the text
  /// before it. false: fill the whole canvas, as the reference does.
  bool eos_stop = true;
  /// The end tokens get no probability, so that an answer has exactly gen_length tokens.
  bool ignore_eos = false;
  /// LLaDA's generate(): the logit of the EOS token (the first end token) is -infinity.
  bool logits_eos_inf = false;
  /// LLaDA's generate(): the end tokens have no weight in the softmax that confidences come from.
  /// They may be committed, but only after all others.
  bool confidence_eos_eot_inf = false;
  std::vector<std::string> stop;  ///< stop strings; the text is cut before the first of them
  /// true: without the reference's quirks (Dream's unconditional first token of a block, the
  /// factor walk's failing last token, the order of equal confidences). See docs/decoding.md.
  bool correct = false;
};

/// An option of GenerateOptions as data, so that the command line, JSON and the server offer the
/// same options under the same names.
struct GenerateOption {
  enum class Kind : std::uint8_t { kInteger, kNumber, kFlag, kText, kTexts };

  std::string name = {};  ///< long name, with dashes: "gen-length"
  Kind kind = Kind::kText;
  std::string_view group = {};  ///< heading under which help and forms show it
  bool common = false;          ///< what most people need
  std::string value_name = {};  ///< for help: "N", "none|prefix|dual"
  std::string help = {};
  std::string otherwise = {};  ///< as set() takes it: where it isn't given. Empty: it depends
  std::optional<NumberRange> range = {};
  void (*store)(const GenerateOption&, GenerateOptions&, std::string_view value) = nullptr;
  std::optional<std::string> (*read)(const GenerateOption&, const GenerateOptions&) = nullptr;
  std::optional<double> (*read_number)(const GenerateOption&, const GenerateOptions&) = nullptr;

  /// "gen_length": what it is called in JSON and in messages.
  std::string field() const;
  /// The words that it takes, if it is one of those that take a word of a list.
  std::vector<std::string> words() const;
  /// Parses and stores; throws kInvalidArgument naming the field and what it takes. kFlag takes
  /// "true" or "false". kTexts appends.
  void set(GenerateOptions& options, std::string_view value) const;
  /// The value as set() takes it, or nullopt where none was given and the model decides. kTexts has
  /// none.
  std::optional<std::string> text(const GenerateOptions& options) const;
};

/// All of them, in the order of the help.
const std::vector<GenerateOption>& generate_options();
/// The option called `name` (dashes or underscores), or nullptr.
const GenerateOption* find_generate_option(std::string_view name);

/// Options and their values under one name.
struct Preset {
  struct Value {
    std::string_view option;  ///< its name in generate_options()
    std::string_view value;
  };
  std::string_view name;
  std::span<const Value> values;
};
std::span<const Preset> presets();

}  // namespace fdllm
