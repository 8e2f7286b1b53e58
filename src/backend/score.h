#pragma once
#include <cstdint>
#include <span>

namespace fdllm {

/// How the head picks the token of a row from its logits l [V].
enum class Sampling : std::uint8_t {
  kGreedy,  ///< argmax l
  kGumbel,  ///< LLaDA: argmax exp(l) / (-ln u)^temperature, computed as l - temperature ln(-ln u)
  kCategorical,  ///< Dream: a draw from softmax(filtered l / temperature), by Gumbel-max
};

/// What the head does with a vocabulary id that is not like the others.
enum class TokenRule : std::uint8_t {
  kFree,         ///< picked and counted: every id without an exception
  kNeverPicked,  ///< counts in every softmax (the mask token, rows without a token)
  kRemoved,      ///< as if its logit were -infinity: never picked, no weight in any softmax
  kUnsure,       ///< may be picked, but has no weight: its confidence is 0
};
struct TokenException {
  std::int32_t token;
  TokenRule rule;
  bool operator==(const TokenException&) const = default;
};
/// Stands for the logit -infinity of an id without weight: finite, so that differences are numbers.
inline constexpr float kWeightlessLogit = -1e30f;

/// What is asked of the head for one row.
struct ScoreRequest {
  std::int32_t position = 0;  ///< canvas position whose token is asked for (also keys the noise)
  Sampling sampling = Sampling::kGreedy;
  float temperature = 0.0f;  ///< 0: greedy. kGumbel and kCategorical want > 0
  float top_p = 1.0f;        ///< < 1: keep the smallest set whose cumulative probability exceeds it
  std::int32_t top_k = 0;    ///< > 0: keep the k largest (after top_p, as Dream's reference does)
  std::uint64_t seed = 0;
  std::int32_t step = 0;            ///< the request's own step, keys the noise
  bool needs_distribution = false;  ///< margin and entropy are wanted
  /// They are those of softmax(raw l), and the margin is the lead of the picked token over the
  /// likeliest other one: negative where it isn't the likeliest itself.
  bool raw_distribution = false;
  float cfg_scale = 0.0f;  ///< > 0: l = uncond + (cfg_scale + 1) (cond - uncond)
  /// Tokens ascending, each once. They must outlive the request.
  std::span<const TokenException> exceptions = {};
};

/// What the head returns for one row; never logits.
struct Score {
  std::int32_t token = -1;
  double confidence =
      0;  ///< softmax(raw l)[token]: LLaDA's low_confidence (no temperature, no noise)
  /// softmax(l / temperature, after top_p, then top_k)[token]: Dream's confidence. Equal to
  /// `confidence` where temperature is 0 or 1 and nothing is filtered. With a filter it is an f32
  /// softmax summed in the reference's order, which decides between confidences near 1.
  double filtered_confidence = 0;
  double margin = 0;   ///< two largest filtered probabilities, first minus second
  double entropy = 0;  ///< sum p ln(p + 1e-10) over the filtered probabilities (<= 0)
  bool finite = true;  ///< false: the logits held NaN or infinity, nothing else here is meaningful
};

}  // namespace fdllm
