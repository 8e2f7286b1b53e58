#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/growth.h"
#include "decode/machine.h"
#include "decode/scoring.h"
#include "decode/stop.h"
#include "decode/token_exceptions.h"
#include "decode/unmask/ranking.h"

namespace fdllm {

namespace {

struct State {
  Canvas canvas;
  DecodeSettings settings;
  std::vector<std::int32_t> end_tokens;
  std::vector<TokenException> exceptions;  // of every score that is asked for
  StaleRows stale;
  RefreshSchedule refreshes;
  CanvasGrowth growth;

  std::int32_t block = 0;
  std::int32_t initial_masked = 0;     // of the live block when it began
  std::int32_t index = 0;              // step within the block
  Range before = {};                   // the block that was live before this one
  bool begun = false;                  // the block has had its first forward
  StepKind kind = StepKind::kRefresh;  // of the pending step
  std::int32_t step = 0;               // the request's own step, keys random numbers
  std::int32_t forwards = 0;
  std::optional<DecodeStep> pending;
  bool finished = false;
  FinishReason reason = FinishReason::kLength;

  Range range() const { return settings.block_range(block, canvas.prompt_length()); }

  UnmaskContext context(std::span<const std::int32_t> masked) const {
    return {.masked = masked,
            .numbers = settings.numbers,
            .initial_masked = initial_masked,
            .index = index,
            .steps = settings.steps_of(block),
            .seed = settings.options.seed,
            .step = step,
            .correct = settings.options.correct};
  }

  bool ends_settled() const {
    return settings.kind == CanvasKind::kContinued && settled_end(canvas, end_tokens).has_value();
  }

  /// The live block's first forward tells whether the canvas is long enough.
  bool watches_growth() const { return !begun && growth.may_grow(); }

  bool commits_first_row() const { return settings.first_row && !begun; }

  void begin_block() {
    index = 0;
    begun = false;
    initial_masked = canvas.masked_count(range());
  }

  void pass_step() {
    ++index;
    ++step;
  }

  /// Moves to the next block, or ends the request, when the live one is full.
  void leave_full_blocks() {
    while (!finished && canvas.masked_count(range()) == 0) {
      const bool last = range().end == growth.end();
      if (last && growth.may_grow() && !ends_settled()) {
        growth.grow();
      } else if (last) {
        finished = true;
        reason = ends_settled() ? FinishReason::kStop : FinishReason::kLength;
        return;
      }
      if (begun) before = range();
      ++block;
      begin_block();
    }
  }

  DecodeStep make_step() {
    DecodeStep result;
    kind = refreshes.next(block, !begun);
    result.plan = make_plan(settings.plan, {.canvas = canvas,
                                            .stale = stale,
                                            .block = range(),
                                            .before = before,
                                            .kind = kind,
                                            .end = growth.end(),
                                            .tail = watches_growth() ? growth.tail() : Range{}});
    if (commits_first_row()) result.plan.score = {range().begin};
    result.attended_rows = attended_rows(result.plan);
    result.refresh = static_cast<std::int32_t>(result.plan.query.size()) == result.attended_rows;
    result.block = block;
    result.scores.reserve(result.plan.score.size());
    for (const std::int32_t position : result.plan.score) {
      result.scores.push_back(score_request(settings, exceptions, position, step));
    }
    if (settings.options.cfg_scale > 0) {
      std::vector<std::int32_t> tokens(canvas.tokens().begin(), canvas.tokens().end());
      std::fill_n(tokens.begin(), canvas.prompt_length(), canvas.mask_token());
      result.unconditional_tokens = std::move(tokens);
    }
    return result;
  }

  /// How many of the scores that the pending step asks for are the block's.
  std::size_t own_scores() const { return scores_before(range().end); }

  std::size_t scores_before(std::int32_t position) const {
    const std::vector<std::int32_t>& positions = pending->plan.score;
    const auto found = std::lower_bound(positions.begin(), positions.end(), position);
    return static_cast<std::size_t>(found - positions.begin());
  }

  std::span<const Score> tail_scores(std::span<const Score> scores) const {
    if (!watches_growth()) return {};
    return scores.subspan(scores_before(growth.tail().begin));
  }
};

class CanvasMachine final : public DecodeMachine {
 public:
  explicit CanvasMachine(State state) : state_(std::move(state)) { state_.begin_block(); }

  std::optional<DecodeStep> next() override;
  StepEvent advance(std::span<const Score> scores) override;
  const Canvas& canvas() const override { return state_.canvas; }
  void finish(FinishReason reason) override {
    state_.pending.reset();
    state_.finished = true;
    state_.reason = reason;
  }
  bool finished() const override { return state_.finished; }
  FinishReason finish_reason() const override { return state_.reason; }

 private:
  State state_;
};

std::optional<DecodeStep> CanvasMachine::next() {
  State& state = state_;
  if (state.pending) return state.pending;
  state.leave_full_blocks();
  if (state.finished) return std::nullopt;
  if (!state.commits_first_row()) {
    const std::vector<std::int32_t> masked = state.canvas.masked_positions(state.range());
    while (state.settings.rule->quota(state.context(masked)) == 0) {
      check(state.index < state.settings.steps_of(state.block), "a schedule that leaves masks");
      state.pass_step();
    }
  }
  state.pending = state.make_step();
  return state.pending;
}

StepEvent CanvasMachine::advance(std::span<const Score> scores) {
  State& state = state_;
  check(state.pending.has_value(), "scores without a forward that asked for them");
  const ForwardPlan& plan = state.pending->plan;
  check(scores.size() == plan.score.size(), "not one score for each asked position");

  std::vector<Candidate> candidates =
      candidates_of(state.settings, state.pending->scores, scores, state.forwards);
  // The tail of a growing canvas is scored too, but is no candidate.
  const std::span<const Score> tail_scores = state.tail_scores(scores);
  scores = scores.first(state.own_scores());
  candidates.resize(scores.size());
  const std::vector<std::int32_t> masked = state.canvas.masked_positions(state.range());
  UnmaskContext context = state.context(masked);
  context.query = {plan.query.front(), plan.query.back() + 1};
  const std::vector<Candidate> chosen = state.commits_first_row() ? candidates
                                        : commits_all(state.settings, scores)
                                            ? ranked(candidates)
                                            : state.settings.rule->select(context, candidates);
  check(!chosen.empty(), "a forward that commits nothing");

  StepEvent event;
  event.step = state.forwards;
  event.block = state.block;
  event.query_begin = plan.query.front();
  event.query_end = plan.query.back() + 1;
  event.query_rows = static_cast<std::int32_t>(plan.query.size());
  event.attended_rows = state.pending->attended_rows;
  event.scored_rows = static_cast<std::int32_t>(plan.score.size());
  state.refreshes.advance(state.kind, state.block, !state.begun, scores);
  state.growth.observe(tail_scores, state.end_tokens);
  state.stale.ran(plan.query);
  commit(chosen, candidates, state.canvas, event);
  for (const Candidate& candidate : chosen) state.stale.committed(candidate.position);

  state.pending.reset();
  state.begun = true;
  ++state.forwards;
  state.pass_step();
  if (state.settings.options.eos_stop && state.ends_settled()) {
    finish(FinishReason::kStop);
  } else {
    state.leave_full_blocks();
  }
  return event;
}

}  // namespace

std::unique_ptr<DecodeMachine> make_canvas_machine(Canvas canvas, DecodeSettings settings,
                                                   const DecodeTraits& traits) {
  StaleRows stale(canvas.length());
  const RefreshSchedule refreshes(*settings.plan.refresh, settings.plan.refresh_interval,
                                  settings.plan.refresh_drift);
  const std::int32_t prompt = canvas.prompt_length();
  const CanvasGrowth growth({prompt, prompt + settings.initial_length}, settings.block_length,
                            canvas.length());
  std::vector<TokenException> exceptions = token_exceptions(settings.options, traits);
  return std::make_unique<CanvasMachine>(State{.canvas = std::move(canvas),
                                               .settings = std::move(settings),
                                               .end_tokens = traits.end_tokens,
                                               .exceptions = std::move(exceptions),
                                               .stale = std::move(stale),
                                               .refreshes = refreshes,
                                               .growth = growth,
                                               .pending = std::nullopt});
}

}  // namespace fdllm
