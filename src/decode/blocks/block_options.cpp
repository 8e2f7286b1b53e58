// The options about blocks: what is declared of each, defaults, and every refusal.
#include "decode/blocks/block_options.h"

#include <array>
#include <limits>

#include "base/check.h"
#include "decode/options/entry.h"

namespace fdllm {
namespace {

using Options = GenerateOptions;

/// Rows of canvases, and what else has no meaning where K/V are exact.
constexpr std::array kOfCanvases = {
    "preset",         "query",         "query-before",  "refresh",        "refresh-interval",
    "refresh-radius", "refresh-drift", "suffix-window", "initial-length", "steps",
};
constexpr std::array kOfBlocks = {"sub-block-length", "block-cache", "fuse-store"};

void refuse_given(const GenerateOptions& options, std::span<const char* const> names,
                  std::string_view reason) {
  for (const char* name : names) {
    const GenerateOption* option = find_generate_option(name);
    check(option != nullptr, "an option that is declared");
    if (!option->text(options)) continue;
    fail(ErrorCode::kInvalidArgument, "'{}': {}; leave it out", option->field(), reason);
  }
}

}  // namespace

std::vector<GenerateOption> block_options() {
  return {
      option<&Options::sub_block_length>(
          "sub-block-length", "N",
          "Fast-dLLM v2: fill N positions of a block before the next N (default 8)", "",
          NumberRange{.least = 1}),
      option<&Options::block_cache>(
          "block-cache", "",
          "Fast-dLLM v2: a sub-block's steps run its rows only, over the K/V that the rest of its "
          "block had",
          "false"),
      option<&Options::fuse_store>(
          "fuse-store", "",
          "the pass that stores a finished block's K/V runs in one forward with the next block's "
          "first step, to the same result",
          "true"),
  };
}

std::vector<std::string> options_of_others(const DecodeTraits& traits) {
  if (traits.causal_block == 0) return {kOfBlocks.begin(), kOfBlocks.end()};
  std::vector<std::string> names(kOfCanvases.begin(), kOfCanvases.end());
  names.emplace_back("cache");  // none gives the same answer, later
  if (!habits_of(traits.reference).guidance) names.emplace_back("cfg-scale");
  if (habits_of(traits.reference).sub_block_length == 0) {
    names.insert(names.end(), kOfBlocks.begin(), kOfBlocks.begin() + 2);
  }
  return names;
}

void refuse_options_of_others(const GenerateOptions& options, const DecodeTraits& traits,
                              CanvasKind kind) {
  if (traits.causal_block == 0) {
    refuse_given(options, kOfBlocks, "this model's rows attend the whole canvas, not blocks");
    return;
  }
  if (kind == CanvasKind::kInfilled) {
    fail(ErrorCode::kInvalidArgument,
         "holes: this model attends only what lies before a block, so that it can't fill holes "
         "before a text; use a model of LLaDA or Dream");
  }
  refuse_given(options, kOfCanvases,
               "this model attends whole blocks and keeps exact K/V of all before them");
  if (options.cache && *options.cache != CacheKind::kNone) {
    fail(ErrorCode::kInvalidArgument,
         "'cache': this model attends whole blocks and keeps exact K/V of all before them; leave "
         "it out, or give none to compute them anew in each step");
  }
}

void resolve_blocks(const GenerateOptions& options, const DecodeTraits& traits,
                    std::int32_t prompt_length, DecodeSettings& settings) {
  const FamilyHabits& habits = *settings.habits;
  settings.block_length = options.block_length.value_or(traits.causal_block);
  if (habits.sub_block_length > 0 && settings.block_length != traits.causal_block) {
    fail(ErrorCode::kInvalidArgument,
         "'block_length': expected {}, with which this model was trained, found {}",
         traits.causal_block, settings.block_length);
  }
  if (habits.sub_block_length == 0) {
    refuse_given(options, std::span(kOfBlocks).first(2), "this model's blocks have no parts");
  }
  settings.sub_block_length = settings.block_length;
  if (habits.sub_block_length > 0) {
    settings.sub_block_length =
        options.sub_block_length.value_or(std::min(habits.sub_block_length, traits.causal_block));
    if (settings.block_length % settings.sub_block_length != 0) {
      fail(ErrorCode::kInvalidArgument,
           "'sub_block_length': expected a number that divides the block's {} positions, found {}",
           settings.block_length, settings.sub_block_length);
    }
  }
  settings.block_cache = options.block_cache.value_or(false);
  if (settings.block_cache && options.cache == CacheKind::kNone) {
    fail(ErrorCode::kInvalidArgument,
         "'block_cache' contradicts 'cache' none, which keeps no rows; give only one of them");
  }
  settings.fuse_store = options.fuse_store.value_or(true);
  const std::int64_t answer_end = std::int64_t{prompt_length} + settings.gen_length;
  const std::int64_t blocks = (answer_end + settings.block_length - 1) / settings.block_length;
  const std::int64_t end = blocks * settings.block_length;
  settings.spare = static_cast<std::int32_t>(
      std::min<std::int64_t>(end, std::numeric_limits<std::int32_t>::max()) - answer_end);
}

}  // namespace fdllm
