#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fastdllm/engine.h"

#include "backend/backend.h"
#include "decode/decoder.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

namespace fdllm {

/// What the loop may hold at once.
struct LoopLimits {
  std::int64_t row_budget;
  std::int32_t max_live_requests;
  std::uint64_t memory;  ///< bytes for K/V and buffers; 0: what the machine has available
};

/// The one step loop. Requests join and leave between steps; a step gathers the plans of the live
/// requests, oldest first, as many as the row budget holds, into one ragged batch, runs one forward
/// and hands each decoder its scores. generate() of one prompt is a batch of one.
class StepLoop {
 public:
  using ResultCallback = std::function<void(std::size_t request, GenerateResult result)>;

  StepLoop(Transformer& transformer, Backend& backend, const Tokenizer& tokenizer,
           const DecodeTraits& traits, LoopLimits limits);
  ~StepLoop();

  /// Queues a validated request under a number of the caller's. Its clock starts now.
  void submit(std::size_t number, const GenerateRequest& request);
  /// Admits what fits and runs one forward. Returns false when nothing is left to do.
  bool step(const Engine::StepCallback& on_step, const ResultCallback& on_result);

 private:
  struct Live;
  using LiveList = std::list<std::unique_ptr<Live>>;

  void admit(const ResultCallback& on_result);
  void begin(Live& live);
  std::vector<Live*> gather(const ResultCallback& on_result);
  void run(std::span<Live* const> batch, std::vector<Score>& scores);
  void advance(Live& live, std::span<const Score> scores, const Engine::StepCallback& on_step);
  void finish(Live& live, const ResultCallback& on_result);
  void remove_finished();

  Transformer& transformer_;
  Backend& backend_;
  const Tokenizer& tokenizer_;
  const DecodeTraits& traits_;
  LoopLimits limits_;
  std::deque<std::unique_ptr<Live>> waiting_;
  LiveList live_;
  std::uint64_t kv_bytes_ = 0;
  ForwardPass pass_;
};

}  // namespace fdllm
