#pragma once
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "fastdllm/service.h"

#include "server/metrics.h"

namespace fdllm::server {

/// What has happened to one of the requests of a Generation: layers of a long forward, a step, or
/// its end.
struct GenerationUpdate {
  std::size_t request = 0;  ///< in the order of submit()
  std::optional<StepEvent> step;
  std::optional<GenerateResult> result;
  std::optional<ForwardProgress> forward = {};
};

/// The engine's requests of one HTTP request. Those that have not ended when it goes out of scope
/// are cancelled. Owned by one thread; `service` and `metrics` outlive it.
class Generation {
 public:
  /// kDenoising: steps with the tokens that stay masked, and the progress of long forwards.
  enum class Events : std::uint8_t { kResults, kSteps, kDenoising };

  /// `metrics` must live until the service has ended.
  Generation(Service& service, Metrics& metrics, Events events);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  /// Queues all of them, or throws as Service::submit() does and queues none.
  void submit(std::vector<ResolvedRequest> requests,
              std::optional<std::chrono::milliseconds> deadline);
  /// The next update, or none within that time.
  std::optional<GenerationUpdate> wait(std::chrono::milliseconds time);
  /// Requests whose result wait() has not returned yet.
  std::size_t unfinished() const { return unfinished_; }

 private:
  struct Mailbox;

  Service& service_;
  Metrics& metrics_;
  Events events_;
  std::shared_ptr<Mailbox> mailbox_;  ///< shared with the service's thread
  std::vector<Service::Ticket> tickets_;
  std::size_t unfinished_ = 0;
};

}  // namespace fdllm::server
