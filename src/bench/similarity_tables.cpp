#include "bench/similarity_tables.h"

#include <algorithm>

#include <fmt/format.h>

namespace fdllm::bench {

std::vector<RegionSummary> summarise(const SimilarityReport& report) {
  std::vector<RegionSummary> summaries;
  for (std::size_t i = 0; i < kRegions; ++i) {
    RegionSummary summary{.region = static_cast<Region>(i), .least = {1, 1}};
    double rows = 0;
    for (const RegionSimilarity& entry : report.regions) {
      if (entry.region != summary.region) continue;
      const auto weight = static_cast<double>(entry.rows);
      rows += weight;
      for (std::size_t kind = 0; kind < 2; ++kind) {
        summary.mean[kind] += weight * entry.mean[kind];
        summary.refresh[kind] += weight * entry.refresh[kind];
        summary.least[kind] = std::min(summary.least[kind], entry.least[kind]);
      }
    }
    if (rows == 0) continue;
    for (std::size_t kind = 0; kind < 2; ++kind) {
      summary.mean[kind] /= rows;
      summary.refresh[kind] /= rows;
    }
    summaries.push_back(summary);
  }
  return summaries;
}

std::string regions_csv(const SimilarityReport& report) {
  std::string csv =
      "step,block,region,layer,rows,k_mean,v_mean,k_least,v_least,k_refresh,v_refresh\n";
  for (const RegionSimilarity& entry : report.regions) {
    csv += fmt::format("{},{},{},{},{},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f}\n", entry.step,
                       entry.block, name_of(entry.region), entry.layer, entry.rows, entry.mean[0],
                       entry.mean[1], entry.least[0], entry.least[1], entry.refresh[0],
                       entry.refresh[1]);
  }
  return csv;
}

std::string maps_csv(const SimilarityReport& report) {
  std::string csv = "rows,kind,step_a,step_b,cosine\n";
  for (const StepSimilarity& map : report.maps) {
    const std::size_t count = map.steps.size();
    for (std::size_t kind = 0; kind < 2; ++kind) {
      for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
          csv += fmt::format("{},{},{},{},{:.6f}\n", map.rows, kKvNames[kind], map.steps[a],
                             map.steps[b], map.cosine[kind][a * count + b]);
        }
      }
    }
  }
  return csv;
}

}  // namespace fdllm::bench
