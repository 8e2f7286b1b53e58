#include "bench/similarity.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "backend/memory_reader.h"
#include "base/check.h"
#include "base/system_memory.h"
#include "bench/kv_comparison.h"
#include "engine/step_loop.h"

namespace fdllm::bench {
namespace {

/// Rows of a prompt or block that the maps compare.
constexpr std::int32_t kMapRows = 32;

/// All of [range), or `most` of them evenly spaced, the first and the last among them.
std::vector<std::int32_t> spaced(Range range, std::int32_t most) {
  const std::int32_t count = std::min(range.size(), most);
  std::vector<std::int32_t> positions;
  for (std::int32_t i = 0; i < count; ++i) {
    positions.push_back(count == 1 ? range.begin
                                   : range.begin +
                                         static_cast<std::int32_t>(
                                             std::int64_t{i} * (range.size() - 1) / (count - 1)));
  }
  return positions;
}

void check_settings(const BenchModel& model, const SimilaritySettings& settings) {
  const auto check_range = [](const char* name, std::int64_t value, std::int64_t most) {
    if (value >= 1 && value <= most) return;
    fail(ErrorCode::kInvalidArgument, "--{}: expected 1 to {}, found {}", name, most, value);
  };
  if (settings.prompts.empty()) fail(ErrorCode::kInvalidArgument, "there is no prompt");
  check_range("rows", settings.rows, 1 << 20);
  check_range("map-steps", settings.map_steps, 4096);
  check_range("gen-length", settings.gen_length, model.config().max_positions);
  for (const auto& prompt : settings.prompts) {
    if (prompt.empty()) fail(ErrorCode::kInvalidArgument, "a prompt has no token");
    const std::int64_t length = std::ssize(prompt) + settings.gen_length;
    if (length > model.config().max_positions) {
      fail(ErrorCode::kInvalidArgument,
           "a prompt of {} tokens and --gen-length {} are more than the {} positions that the "
           "model allows",
           prompt.size(), settings.gen_length, model.config().max_positions);
    }
  }
}

GenerateOptions baseline(const SimilaritySettings& settings) {
  GenerateOptions options;
  options.gen_length = settings.gen_length;
  options.block_length = settings.block_length;
  options.cache = CacheKind::kNone;
  options.rule.set("tokens_per_forward", settings.tokens_per_forward);
  options.eos_stop = false;
  return options;
}

/// Bytes of what is kept besides the K/V slab itself.
std::uint64_t kept_bytes(const ModelConfig& config, const SimilaritySettings& settings) {
  const auto row = static_cast<std::uint64_t>(2 * config.layers * config.kv_heads *
                                              config.head_dim * std::int64_t{sizeof(float)});
  return row * (std::uint64_t{3} * 2 * static_cast<std::uint64_t>(settings.rows) +
                std::uint64_t{3} * kMapRows * static_cast<std::uint64_t>(settings.map_steps));
}

class Recorder {
 public:
  Recorder(BenchModel& model, const SimilaritySettings& settings)
      : model_(model),
        settings_(settings),
        dimensions_{model.config().layers, model.config().kv_heads * model.config().head_dim},
        regions_(dimensions_) {
    for (const char* rows : {"prompt", "first block", "last block"}) {
      report_.maps.push_back({.rows = rows, .steps = {}, .cosine = {}});
    }
  }

  void begin(std::int32_t prompt_length) {
    prompt_length_ = prompt_length;
    sampled_.emplace(prompt_length, settings_.gen_length, settings_.rows);
    const std::int32_t last =
        (settings_.gen_length - 1) / settings_.block_length * settings_.block_length;
    map_rows_ = {spaced({0, prompt_length}, kMapRows), spaced(block_range(0), kMapRows),
                 spaced(block_range(last / settings_.block_length), kMapRows)};
    stores_.assign(map_rows_.size(), StepStore(settings_.map_steps));
  }

  void add(const StepEvent& event) {
    regions_.add(*sampled_, event.block, block_range(event.block),
                 read(event.step, sampled_->positions()));
    for (std::size_t i = 0; i < stores_.size(); ++i) {
      if (stores_[i].wants(event.step)) stores_[i].add(read(event.step, map_rows_[i]));
    }
    report_.steps = std::max(report_.steps, event.step + 1);
  }

  void end() {
    for (std::size_t i = 0; i < stores_.size(); ++i) {
      add_step_similarity(stores_[i].kept(), dimensions_, map_rows_[i].size(),
                          settings_.prompts.size(), report_.maps[i]);
    }
  }

  SimilarityReport result() {
    report_.regions = regions_.result();
    report_.layers = dimensions_.layers;
    return std::move(report_);
  }

 private:
  Range block_range(std::int32_t block) const {
    const std::int32_t begin = prompt_length_ + block * settings_.block_length;
    return {begin, std::min(begin + settings_.block_length, prompt_length_ + settings_.gen_length)};
  }

  KvRows read(std::int32_t step, std::span<const std::int32_t> positions) const {
    const KvSlab* kv = model_.backend().last_kv();
    check(kv != nullptr, "a forward without K/V");
    const MemoryReader& reader = MemoryReader::of(model_.backend().inner());
    const std::size_t size = positions.size() * static_cast<std::size_t>(dimensions_.width);
    KvRows rows{step, std::vector<float>(2 * size * static_cast<std::size_t>(dimensions_.layers))};
    for (std::int64_t layer = 0; layer < dimensions_.layers; ++layer) {
      const auto values =
          std::span(rows.values).subspan(2 * size * static_cast<std::size_t>(layer), 2 * size);
      reader.read_kv(*kv, layer, positions, values.first(size), values.last(size));
    }
    return rows;
  }

  BenchModel& model_;
  const SimilaritySettings& settings_;
  KvDimensions dimensions_;
  RegionComparison regions_;
  SimilarityReport report_;
  std::int32_t prompt_length_ = 0;
  std::optional<SampledRows> sampled_;
  std::vector<std::vector<std::int32_t>> map_rows_;
  std::vector<StepStore> stores_;
};

}  // namespace

SampledRows::SampledRows(std::int32_t prompt_length, std::int32_t gen_length, std::int32_t rows)
    : prompt_length_(prompt_length), positions_(spaced({0, prompt_length}, rows)) {
  const auto answer = spaced({prompt_length, prompt_length + gen_length}, rows);
  positions_.insert(positions_.end(), answer.begin(), answer.end());
}

Region SampledRows::region(std::size_t index, Range block) const {
  const std::int32_t position = positions_[index];
  if (position < prompt_length_) return Region::kPrompt;
  if (position < block.begin) return Region::kEarlierBlocks;
  return position < block.end ? Region::kLiveBlock : Region::kSuffix;
}

SimilarityReport run_similarity(BenchModel& model, const SimilaritySettings& settings,
                                const EngineOptions& engine) {
  check_settings(model, settings);
  const ModelConfig& config = model.config();
  const std::uint64_t kept = kept_bytes(config, settings);
  const std::optional<std::uint64_t> available =
      engine.memory_limit != 0 ? std::optional(engine.memory_limit) : available_memory();
  if (available && kept > *available) {
    fail(ErrorCode::kOutOfMemory,
         "the rows to compare need {}, {} is available; give fewer --rows or --map-steps",
         bytes_text(kept), bytes_text(*available));
  }
  std::vector<ResolvedRequest> requests;
  for (const auto& prompt : settings.prompts) {
    requests.push_back(
        model.engine().resolve({.prompt_ids = prompt, .options = baseline(settings)}));
  }
  // K/V are read when a forward is complete.
  const std::unique_ptr<StepLoop> loop = model.make_loop();
  Recorder recorder(model, settings);
  for (std::size_t i = 0; i < settings.prompts.size(); ++i) {
    recorder.begin(static_cast<std::int32_t>(settings.prompts[i].size()));
    loop->submit(i, requests[i]);
    const auto on_step = [&](const StepEvent& event) {
      recorder.add(event);
      if (settings.on_progress) {
        settings.on_progress({"prompts", static_cast<std::int64_t>(i), std::ssize(settings.prompts),
                              fmt::format("{} masks left", event.masked)});
      }
      return true;
    };
    const auto on_result = [](std::size_t, const GenerateResult& result) {
      if (result.finish_reason == FinishReason::kError) {
        throw Error(result.error->code, result.error->message);
      }
    };
    while (loop->step(on_step, on_result)) {
    }
    recorder.end();
  }
  return recorder.result();
}

}  // namespace fdllm::bench
