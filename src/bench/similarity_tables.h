#pragma once
#include <array>
#include <string>
#include <vector>

#include "bench/similarity.h"

namespace fdllm::bench {

/// A region over all steps and layers.
struct RegionSummary {
  Region region = Region::kPrompt;
  std::array<double, 2> mean{}, least{}, refresh{};  ///< as RegionSimilarity; of K, of V
};

/// One for each region that the report has rows of.
std::vector<RegionSummary> summarise(const SimilarityReport& report);

/// step,block,region,layer,rows,k_mean,v_mean,k_least,v_least,k_refresh,v_refresh
std::string regions_csv(const SimilarityReport& report);
/// rows,kind,step_a,step_b,cosine
std::string maps_csv(const SimilarityReport& report);

}  // namespace fdllm::bench
