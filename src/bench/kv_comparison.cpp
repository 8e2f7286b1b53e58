#include "bench/kv_comparison.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace fdllm::bench {

double cosine(std::span<const float> a, std::span<const float> b) {
  check(a.size() == b.size(), "vectors of two lengths");
  double product = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    product += x * y;
    square_a += x * x;
    square_b += y * y;
  }
  if (square_a == 0 && square_b == 0) return 1;
  if (square_a == 0 || square_b == 0) return 0;
  return std::clamp(product / std::sqrt(square_a * square_b), -1.0, 1.0);
}

const char* name_of(Region region) {
  constexpr const char* kNames[] = {"prompt", "earlier blocks", "live block", "suffix"};
  return kNames[static_cast<std::size_t>(region)];
}

std::span<const float> row_of(const KvRows& rows, const KvDimensions& dimensions,
                              const RowPlace& place) {
  const std::size_t width = static_cast<std::size_t>(dimensions.width);
  const std::size_t part = static_cast<std::size_t>(2 * place.layer + place.kind);
  const std::size_t at = (part * place.positions + place.index) * width;
  return std::span(rows.values).subspan(at, width);
}

void RegionComparison::add(const SampledRows& sampled, std::int32_t block, Range range,
                           KvRows rows) {
  const std::size_t positions = sampled.positions().size();
  if (rows.step == 0) refresh_block_ = -1;
  if (block != refresh_block_) {
    refresh_ = rows;
    refresh_block_ = block;
  }
  if (rows.step > 0) {
    check(previous_.step + 1 == rows.step, "a step was left out");
    for (std::size_t index = 0; index < positions; ++index) {
      const Region region = sampled.region(index, range);
      for (std::int64_t layer = 0; layer < dimensions_.layers; ++layer) {
        RegionSimilarity& sum = sums_[{rows.step, region, layer}];
        if (sum.rows == 0) {
          sum = {.step = rows.step, .block = block, .region = region, .layer = layer};
          sum.least = {1, 1};
        }
        ++sum.rows;
        for (int kind = 0; kind < 2; ++kind) {
          const auto now = row_of(rows, dimensions_, {positions, layer, kind, index});
          const double change =
              cosine(now, row_of(previous_, dimensions_, {positions, layer, kind, index}));
          const auto k = static_cast<std::size_t>(kind);
          sum.mean[k] += change;
          sum.least[k] = std::min(sum.least[k], change);
          sum.refresh[k] +=
              cosine(now, row_of(refresh_, dimensions_, {positions, layer, kind, index}));
        }
      }
    }
  }
  previous_ = std::move(rows);
}

std::vector<RegionSimilarity> RegionComparison::result() const {
  std::vector<RegionSimilarity> result;
  for (const auto& [key, sum] : sums_) {
    result.push_back(sum);
    for (std::size_t kind = 0; kind < 2; ++kind) {
      result.back().mean[kind] /= static_cast<double>(sum.rows);
      result.back().refresh[kind] /= static_cast<double>(sum.rows);
    }
  }
  return result;
}

void StepStore::add(KvRows rows) {
  if (!wants(rows.step)) return;
  if (static_cast<std::int32_t>(kept_.size()) >= capacity_) {
    stride_ *= 2;
    std::erase_if(kept_, [this](const KvRows& kept) { return !wants(kept.step); });
    if (!wants(rows.step)) return;
  }
  kept_.push_back(std::move(rows));
}

void add_step_similarity(std::span<const KvRows> kept, const KvDimensions& dimensions,
                         std::size_t positions, std::size_t prompts, StepSimilarity& map) {
  const std::size_t count = kept.size();
  if (map.steps.empty()) {
    for (const KvRows& rows : kept) map.steps.push_back(rows.step);
    for (auto& values : map.cosine) values.assign(count * count, 0.0);
  }
  check(map.steps.size() == count, "prompts of different numbers of steps");
  const double parts = static_cast<double>(positions * prompts) * double(dimensions.layers);
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      for (int kind = 0; kind < 2; ++kind) {
        double sum = 0;
        for (std::int64_t layer = 0; layer < dimensions.layers; ++layer) {
          for (std::size_t index = 0; index < positions; ++index) {
            sum += cosine(row_of(kept[a], dimensions, {positions, layer, kind, index}),
                          row_of(kept[b], dimensions, {positions, layer, kind, index}));
          }
        }
        auto& values = map.cosine[static_cast<std::size_t>(kind)];
        values[a * count + b] += sum / parts;
        if (a != b) values[b * count + a] += sum / parts;
      }
    }
  }
}

}  // namespace fdllm::bench
