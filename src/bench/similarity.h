#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fastdllm/options.h"

#include "base/range.h"
#include "bench/model.h"
#include "bench/progress.h"

namespace fdllm::bench {

/// Parts of a canvas, seen from a block that is being decoded.
enum class Region : std::uint8_t { kPrompt, kEarlierBlocks, kLiveBlock, kSuffix };
inline constexpr std::size_t kRegions = 4;
/// "prompt", "earlier blocks", "live block", "suffix".
const char* name_of(Region region);

/// K or V, as an index.
inline constexpr const char* kKvNames[] = {"K", "V"};

/// Similarity of the K and V rows of one region in one layer, over all its rows and prompts.
struct RegionSimilarity {
  std::int32_t step = 0;  ///< of the decoding: this forward and the one before it
  std::int32_t block = 0;
  Region region = Region::kPrompt;
  std::int64_t layer = 0;
  std::int64_t rows = 0;            ///< compared, of all prompts
  std::array<double, 2> mean{};     ///< cosine to the step before; of K, of V
  std::array<double, 2> least{};    ///< the least of any row
  std::array<double, 2> refresh{};  ///< mean cosine to the first forward of the block: what a cache
                                    ///< that is refreshed once a block keeps in its place
};

/// The paper's figure 3: cosine between any two steps, mean over rows, layers and prompts.
struct StepSimilarity {
  std::string rows;                           ///< "prompt", "first block", "last block"
  std::vector<std::int32_t> steps;            ///< those that were kept
  std::array<std::vector<double>, 2> cosine;  ///< of K, of V: [steps, steps]
};

struct SimilaritySettings {
  std::vector<std::vector<std::int32_t>> prompts;  ///< token ids
  std::int32_t gen_length = 256;
  std::int32_t block_length = 32;
  double tokens_per_forward = 1;  ///< 1: the paper's baseline
  /// Rows of the prompt, and rows of the answer, that are compared: all, or so many evenly spaced.
  std::int32_t rows = 256;
  /// Steps that the maps show: all, or every second, fourth, ... so that there are at most so many.
  std::int32_t map_steps = 64;
  BenchListener on_progress = {};
};

struct SimilarityReport {
  std::vector<RegionSimilarity> regions;  ///< by step, region, layer
  std::vector<StepSimilarity> maps;
  std::int32_t steps = 0;
  std::int64_t layers = 0;
};

/// cos(a, b): 1 where both are zero, 0 where one is.
double cosine(std::span<const float> a, std::span<const float> b);

/// K and V rows of one moment: [layers][K, V][positions][width].
struct KvRows {
  std::int32_t step = 0;
  std::vector<float> values;
};

/// Which rows of a canvas are compared, and what part each belongs to.
class SampledRows {
 public:
  SampledRows(std::int32_t prompt_length, std::int32_t gen_length, std::int32_t rows);

  std::span<const std::int32_t> positions() const { return positions_; }
  /// Of the index-th position while `block` is live.
  Region region(std::size_t index, Range block) const;

 private:
  std::int32_t prompt_length_;
  std::vector<std::int32_t> positions_;
};

/// Decodes each prompt without a cache at a fixed rate, reads K and V of the compared rows after
/// every forward, and compares them. Holds K and V of at most 2 * rows rows three times, and of at
/// most 96 rows for each step of the maps, however long the decoding. Throws kInvalidArgument where
/// the settings contradict each other or the model, kOutOfMemory where that does not fit.
SimilarityReport run_similarity(BenchModel& model, const SimilaritySettings& settings,
                                const EngineOptions& engine);

}  // namespace fdllm::bench
