#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fastdllm/engine.h"
#include "fastdllm/service.h"

#include "backend/backend.h"
#include "decode/decoder.h"
#include "engine/answer_cut.h"
#include "engine/forward_cost.h"
#include "engine/memory_account.h"
#include "engine/pass_progress.h"
#include "engine/resolve_request.h"
#include "model/transformer.h"

namespace fdllm {

struct LiveRequest;

/// What the loop may hold at once.
struct LoopLimits {
  std::int64_t row_budget;
  std::int32_t max_live_requests;
  MemoryAccount* memory;          ///< of K/V and buffers; outlives the loop
  double slice_seconds;           ///< EngineOptions::slice_seconds
  double progress_seconds = 0.1;  ///< EngineOptions::progress_seconds
};

/// The one step loop. Requests join and leave between steps; a step gathers the plans of the live
/// requests, oldest first, as many as the row budget holds, into one ragged batch, runs one forward
/// and hands each decoder its scores. generate() of one prompt is a batch of one.
///
/// Where the plans of many rows (refreshes) would take longer than a slice, they become a pass of
/// their own that pauses between layers: a step then runs the short plans whole and as much of the
/// long pass as takes about the same time, so that neither holds up the other for long.
///
/// Whatever goes wrong in a request, a failed allocation too, ends that request alone, or those of
/// the forward that failed, with an error. What a callback throws is the caller's: it leaves
/// step(), after which the loop may only be destroyed.
class StepLoop {
 public:
  using ResultCallback = std::function<void(std::size_t request, GenerateResult result)>;
  using ForwardCallback = std::function<void(const ForwardInfo&)>;

  StepLoop(Transformer& transformer, Backend& backend, TokenBytes token_bytes,
           std::shared_ptr<const RequestModel> model, LoopLimits limits);
  ~StepLoop();

  /// Throws kOutOfMemory, with numbers, for a request that would not fit if it were the only one,
  /// and as submit(). From any thread.
  void require_fits(const ResolvedRequest& request) const;
  /// Queues a request under a number of the caller's. Its clock starts now. `listener` hears of its
  /// forwards of many rows. Throws kInvalidArgument where it was resolved against another model.
  void submit(std::size_t number, ResolvedRequest request, ForwardListener listener = {});
  /// Admits what fits and runs one forward. Returns false when nothing is left to do.
  bool step(const Engine::StepCallback& on_step, const ResultCallback& on_result);
  /// Ends a request with `reason` and what it has so far: at once, or where it is part of a paused
  /// pass that others need too, at the end of that pass. Unknown numbers are ignored.
  void end(std::size_t number, FinishReason reason, const ResultCallback& on_result);
  /// Ends all requests with an error. Allocates nothing.
  void fail_all(const Failure& failure, const ResultCallback& on_result);

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t live() const { return live_.size(); }
  std::uint64_t kv_bytes() const { return kv_bytes_; }
  std::size_t max_live() const { return static_cast<std::size_t>(limits_.max_live_requests); }
  /// The last forward failed, and so did one of a single row after it: the device does not work any
  /// more.
  bool device_failed() const { return device_failed_; }
  void on_forward(ForwardCallback callback) { on_forward_ = std::move(callback); }

 private:
  using Live = LiveRequest;
  using LiveList = std::list<std::unique_ptr<Live>>;
  using Batch = std::vector<Live*>;
  enum class Take : std::uint8_t { kAll, kShort };

  void require_own(const ResolvedRequest& request) const;
  void admit(const ResultCallback& on_result);
  bool make_room(const MemoryNeed& need);
  MemoryNeed need_of(const Live& next) const;
  void begin(Live& live);
  void plan_steps(const ResultCallback& on_result);
  void gather(Take take, Batch& batch) const;
  void divide_batch(const ResultCallback& on_result);
  void run_long_pass(double seconds, const Engine::StepCallback& on_step,
                     const ResultCallback& on_result);
  void start(ForwardPass& pass, std::span<Live* const> batch);
  /// Runs layers of a started pass, and the head after the last one; returns whether that was all.
  bool run(ForwardPass& pass, std::span<Live* const> batch, std::int32_t layers);
  /// Those layers, a few at a time where somebody listens; false where all requests were cancelled
  /// before the last.
  bool run_layers(ForwardPass& pass, std::span<Live* const> batch, Range layers);
  PassProgress& progress_of(const ForwardPass& pass) {
    return &pass == &long_pass_ ? long_progress_ : progress_;
  }
  void tell(std::span<Live* const> batch, ForwardProgress progress);
  template <typename Run>
  void guarded(Batch& batch, const ResultCallback& on_result, Run&& run);
  void check_device() noexcept;
  void complete(std::span<Live* const> batch, const Engine::StepCallback& on_step,
                const ResultCallback& on_result);
  std::optional<StepEvent> advance(Live& live, std::span<const Score> scores) noexcept;
  void finish(Live& live, const ResultCallback& on_result);
  void remove_finished();

  Transformer& transformer_;
  Backend& backend_;
  TokenBytes token_bytes_;
  std::shared_ptr<const RequestModel> model_;
  LoopLimits limits_;
  LiveList waiting_, live_;
  std::uint64_t kv_bytes_ = 0;
  ForwardCallback on_forward_;
  ForwardPass pass_, long_pass_;
  PassProgress progress_, long_progress_;
  // begin() gives the batches room for all live requests, so that gathering allocates nothing.
  Batch batch_;       ///< whose plans pass_ runs
  Batch long_batch_;  ///< whose plans long_pass_ runs; empty: there is none
  Batch done_;
  std::vector<Score> scores_;
  ForwardCost cost_;
  bool device_failed_ = false;
};

}  // namespace fdllm
