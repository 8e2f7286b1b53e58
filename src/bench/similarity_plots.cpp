#include "bench/similarity_plots.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "bench/chart.h"
#include "bench/heatmap.h"

namespace fdllm::bench {
namespace {

enum class Against { kStepBefore, kRefresh };

/// Means over rows of what shares a key, for each region.
using Curves = std::array<std::map<std::int64_t, std::pair<double, double>>, kRegions>;

template <typename KeyOf>
Curves curves_of(const SimilarityReport& report, std::size_t kind, Against against, KeyOf key_of) {
  Curves curves;
  for (const RegionSimilarity& entry : report.regions) {
    auto& [sum, rows] = curves[static_cast<std::size_t>(entry.region)][key_of(entry)];
    const double value = against == Against::kRefresh ? entry.refresh[kind] : entry.mean[kind];
    sum += value * static_cast<double>(entry.rows);
    rows += static_cast<double>(entry.rows);
  }
  return curves;
}

Chart chart_of(const Curves& curves, std::string title, std::string x_label, bool marks) {
  Chart chart{.title = std::move(title),
              .x_label = std::move(x_label),
              .y_label = "cosine similarity",
              .series = {}};
  double least = 1;
  for (std::size_t i = 0; i < kRegions; ++i) {
    ChartSeries series{.name = name_of(static_cast<Region>(i)), .points = {}, .marks = marks};
    for (const auto& [key, sum] : curves[i]) {
      series.points.push_back({static_cast<double>(key), sum.first / sum.second});
      least = std::min(least, series.points.back().y);
    }
    chart.series.push_back(std::move(series));
  }
  // The live block's own jumps would hide how close to 1 the others are.
  chart.y_high = 1.0;
  chart.y_low = least - 0.05 * std::max(1 - least, 1e-3);
  return chart;
}

std::int64_t step_of(const RegionSimilarity& entry) {
  return entry.step;
}
std::int64_t layer_of(const RegionSimilarity& entry) {
  return entry.layer;
}

}  // namespace

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

std::string steps_svg(const SimilarityReport& report) {
  std::vector<Chart> charts;
  for (std::size_t kind = 0; kind < 2; ++kind) {
    charts.push_back(chart_of(curves_of(report, kind, Against::kStepBefore, step_of),
                              fmt::format("{} of a step and the step before", kKvNames[kind]),
                              "step", false));
  }
  return draw_charts(charts);
}

std::string layers_svg(const SimilarityReport& report) {
  std::vector<Chart> charts;
  for (const Against against : {Against::kStepBefore, Against::kRefresh}) {
    for (std::size_t kind = 0; kind < 2; ++kind) {
      charts.push_back(
          chart_of(curves_of(report, kind, against, layer_of),
                   fmt::format("{} and {}", kKvNames[kind],
                               against == Against::kRefresh ? "the block's first forward"
                                                            : "the step before"),
                   "layer", true));
    }
  }
  return draw_charts(charts);
}

std::string maps_svg(const SimilarityReport& report) {
  std::vector<Heatmap> maps;
  double least = 1;
  for (std::size_t kind = 0; kind < 2; ++kind) {
    for (const StepSimilarity& map : report.maps) {
      maps.push_back(
          {fmt::format("{}, {}", kKvNames[kind], map.rows), map.steps, map.cosine[kind]});
      for (const double value : map.cosine[kind]) {
        if (std::isfinite(value)) least = std::min(least, value);
      }
    }
  }
  const double low = std::min(std::floor(least * 20) / 20, 0.95);
  return draw_heatmaps(maps, static_cast<int>(std::max<std::size_t>(report.maps.size(), 1)), low,
                       "step");
}

}  // namespace fdllm::bench
