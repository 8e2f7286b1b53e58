#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm {

struct ServiceOptions {
  /// Requests that submit() takes beyond EngineOptions::max_live_requests.
  std::size_t max_waiting = 128;
};

/// What the loop has just run, for measurements: one forward, or some layers of a long one.
struct ForwardInfo {
  std::int64_t rows = 0;      ///< rows of the batch
  std::int32_t requests = 0;  ///< requests that they belong to
  std::int32_t layers = 0;    ///< of the model that were run
  bool complete = true;       ///< false: the rest of the layers is still to come
  double seconds = 0;
};

struct ServiceState {
  std::size_t waiting = 0;     ///< requests that hold nothing yet
  std::size_t live = 0;        ///< requests that hold K/V
  std::uint64_t kv_bytes = 0;  ///< of the live requests
  bool draining = false;
  /// The last forward failed and so did the smallest one after it: the device needs a new process.
  bool device_failed = false;
};

/// An engine that serves requests as they come: its step loop runs on a thread of its own, and
/// requests join and leave between steps. A request's tokens are those that Engine::generate()
/// gives it alone. All members may be called from any thread. While a Service exists, nobody else
/// may call the engine's generate() or logits(); its const members may be called at any time.
class Service {
 public:
  using Ticket = std::uint64_t;
  /// Called on the loop's thread: they must be quick and should not throw. A request whose on_step
  /// threw ends with that as its error; what on_result throws is lost.
  struct Handlers {
    std::function<void(const StepEvent&)> on_step;  ///< StepEvent::request is the ticket
    /// Exactly once for each ticket, whatever becomes of the request; nothing follows it.
    std::function<void(GenerateResult)> on_result;
    /// As Engine::generate()'s on_progress; ForwardProgress::request is the ticket.
    std::function<void(const ForwardProgress&)> on_progress = {};
  };

  struct Submission {
    ResolvedRequest request;
    Handlers handlers;
  };

  /// `engine` must outlive the service.
  explicit Service(Engine& engine, const ServiceOptions& options = {},
                   std::function<void(const ForwardInfo&)> on_forward = {});
  /// Cancels what is left and waits for its end.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Queues a request; its clock starts now. A request that is not done after `deadline` ends with
  /// FinishReason::kDeadline and the text that it has by then (none, where it has run no forward).
  /// One whose K/V don't fit beside those of others waits. Throws as Engine::resolve() does, and
  /// kBusy (too many wait), kUnavailable (draining) or kOutOfMemory (it would not fit alone).
  Ticket submit(GenerateRequest request, Handlers handlers,
                std::optional<std::chrono::milliseconds> deadline = {});
  Ticket submit(ResolvedRequest request, Handlers handlers,
                std::optional<std::chrono::milliseconds> deadline = {});
  /// The same for several requests: queues all of them or, where one is refused, none.
  std::vector<Ticket> submit_all(std::vector<Submission> submissions,
                                 std::optional<std::chrono::milliseconds> deadline = {});
  /// Ends the request before its next step (FinishReason::kCancelled). Unknown tickets and those of
  /// requests that have ended are ignored.
  void cancel(Ticket ticket) noexcept;
  /// Refuses new requests from now on and returns when all others have ended.
  void drain();
  ServiceState state() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdllm
