#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/machine.h"
#include "decode/scoring.h"
#include "decode/stop.h"
#include "decode/token_exceptions.h"
#include "decode/unmask/ranking.h"
#include "model/forward_plan.h"

// Decoding by blocks whose rows attend their own block and all before it. Blocks are counted from
// position 0, so the first live one may begin with the end of the prompt. K/V of a finished block
// are exact once it has been run without masks, and are never computed again.
namespace fdllm {
namespace {

class BlockMachine final : public DecodeMachine {
 public:
  BlockMachine(Canvas canvas, DecodeSettings settings, const DecodeTraits& traits)
      : canvas_(std::move(canvas)),
        settings_(std::move(settings)),
        end_tokens_(traits.end_tokens),
        exceptions_(token_exceptions(settings_.options, traits)) {
    enter_block(canvas_.prompt_length() / length() * length());
    unstored_ = {0, live_.begin};
  }

  std::optional<DecodeStep> next() override {
    if (!pending_ && !finished_) pending_ = make_step();
    return pending_;
  }

  StepEvent advance(std::span<const Score> scores) override;

  const Canvas& canvas() const override { return canvas_; }
  void finish(FinishReason reason) override {
    pending_.reset();
    finished_ = true;
    reason_ = reason;
  }
  bool finished() const override { return finished_; }
  FinishReason finish_reason() const override { return reason_; }

 private:
  std::int32_t length() const { return settings_.block_length; }
  /// The block's first token comes from the row before it, which has to be run without masks first.
  /// Position 0 has none before it, and scores from itself.
  bool waits_for_seed() const {
    return settings_.habits->seeds_blocks && live_.begin > 0 && canvas_.masked(live_.begin);
  }

  void enter_block(std::int32_t begin) {
    live_ = {begin, std::min(begin + length(), canvas_.length())};
    has_block_kv_ = false;
    enter_part();
  }
  /// Goes on to the live block's first part that has masks.
  void enter_part() {
    part_ = {live_.begin, live_.end};
    for (std::int32_t begin = live_.begin; begin < live_.end; begin += settings_.sub_block_length) {
      part_ = {begin, std::min(begin + settings_.sub_block_length, live_.end)};
      if (canvas_.masked_count(part_) > 0) break;
    }
    index_ = 0;
    part_masked_ = canvas_.masked_count(part_);
  }

  DecodeStep make_step();
  ForwardPlan live_plan() const;
  UnmaskContext context(std::span<const std::int32_t> masked) const;
  std::vector<Candidate> choose(std::span<const Candidate> candidates,
                                std::span<const Score> scores) const;
  void ran(const DecodeStep& step);
  void leave_full_part();
  bool ends_settled() const { return settled_end(canvas_, end_tokens_).has_value(); }

  Canvas canvas_;
  DecodeSettings settings_;
  std::vector<std::int32_t> end_tokens_;
  std::vector<TokenException> exceptions_;
  Range live_;                    // the live block
  Range unstored_;                // whole blocks without masks whose K/V are not stored yet
  Range part_;                    // its first part that has masks: all of it, or a sub-block
  std::int32_t part_masked_ = 0;  // masks of the part when it began
  std::int32_t index_ = 0;        // step within the part
  bool has_block_kv_ = false;     // the live block's rows have been run with its masks
  // The request's own step keys random numbers: passes that only store are none, so that fusing
  // them changes nothing.
  std::int32_t step_ = 0;
  std::int32_t forwards_ = 0;
  std::optional<DecodeStep> pending_;
  bool finished_ = false;
  FinishReason reason_ = FinishReason::kLength;
};

ForwardPlan BlockMachine::live_plan() const {
  const bool small = settings_.block_cache && has_block_kv_ && !canvas_.masked(part_.begin);
  return {positions_of(small ? part_ : live_), {{0, live_.end}}, canvas_.masked_positions(part_)};
}

DecodeStep BlockMachine::make_step() {
  DecodeStep result;
  const bool recomputes = settings_.options.cache == CacheKind::kNone;
  result.before = block_causal_plans({recomputes ? 0 : unstored_.begin, unstored_.end}, length(),
                                     canvas_.length());
  const bool is_store = unstored_.size() > 0 && !settings_.fuse_store;
  if (waits_for_seed() || is_store) {
    check(!result.before.empty(), "rows that a block's first token comes from");
    result.plan = std::move(result.before.back());
    result.before.pop_back();
    if (waits_for_seed()) result.plan.score = {live_.begin};
  } else {
    result.plan = live_plan();
  }
  for (const std::int32_t position : result.plan.score) {
    result.scores.push_back(score_request(settings_, exceptions_, position, step_));
  }
  result.attended_rows = attended_rows(result.plan);
  result.block = live_.begin / length();
  result.refresh = result.rows() == result.attended_rows;
  return result;
}

UnmaskContext BlockMachine::context(std::span<const std::int32_t> masked) const {
  return {.masked = masked,
          .numbers = settings_.numbers,
          .query = {pending_->plan.query.front(), pending_->plan.query.back() + 1},
          .block_length = live_.size(),
          .initial_masked = part_masked_,
          .index = index_,
          .seed = settings_.options.seed,
          .step = step_,
          .correct = true};
}

std::vector<Candidate> BlockMachine::choose(std::span<const Candidate> candidates,
                                            std::span<const Score> scores) const {
  if (waits_for_seed() || commits_all(settings_, scores)) return ranked(candidates);
  const std::vector<std::int32_t> masked = canvas_.masked_positions(part_);
  return settings_.rule->select(context(masked), candidates);
}

/// What is stored by the step, and what is live then.
void BlockMachine::ran(const DecodeStep& step) {
  const bool is_of_live = step.plan.query.front() >= live_.begin;
  unstored_ = {live_.begin, live_.begin};
  if (!is_of_live) return;
  has_block_kv_ = true;
  ++index_;
}

void BlockMachine::leave_full_part() {
  if (canvas_.masked_count(part_) > 0) return;
  if (canvas_.masked_count(live_) > 0) return enter_part();
  if (live_.end == canvas_.length()) return;
  unstored_ = live_;
  enter_block(live_.end);
}

StepEvent BlockMachine::advance(std::span<const Score> scores) {
  check(pending_.has_value(), "scores without a forward that asked for them");
  const DecodeStep step = *pending_;
  check(scores.size() == step.scores.size(), "not one score for each asked position");
  const std::vector<Candidate> candidates =
      candidates_of(settings_, step.scores, scores, forwards_);
  std::vector<Candidate> chosen;
  if (!candidates.empty()) {
    chosen = choose(candidates, scores);
    check(!chosen.empty(), "a forward with scores that commits nothing");
  }

  StepEvent event;
  event.step = forwards_;
  event.block = step.block;
  const ForwardPlan& first = step.before.empty() ? step.plan : step.before.front();
  event.query_begin = first.query.front();
  event.query_end = step.plan.query.back() + 1;
  event.query_rows = static_cast<std::int32_t>(step.rows());
  event.attended_rows = step.attended_rows;
  event.scored_rows = static_cast<std::int32_t>(step.scores.size());
  ran(step);
  commit(chosen, candidates, canvas_, event);

  pending_.reset();
  ++forwards_;
  if (!candidates.empty()) ++step_;
  const bool is_settled = ends_settled();
  if (event.masked == 0 || (settings_.options.eos_stop && is_settled)) {
    finish(is_settled ? FinishReason::kStop : FinishReason::kLength);
  } else {
    leave_full_part();
  }
  return event;
}

}  // namespace

std::unique_ptr<DecodeMachine> make_block_machine(Canvas canvas, DecodeSettings settings,
                                                  const DecodeTraits& traits) {
  return std::make_unique<BlockMachine>(std::move(canvas), std::move(settings), traits);
}

}  // namespace fdllm
