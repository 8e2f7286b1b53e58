#include "fastdllm/service.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "engine/step_loop.h"

namespace fdllm {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct Service::Impl {
  struct Entry {
    Handlers handlers;
    std::optional<Clock::time_point> deadline;
  };
  struct Arrival {
    Ticket ticket;
    GenerateRequest request;
  };

  Impl(Engine& served, const ServiceOptions& service_options,
       std::function<void(const ForwardInfo&)> on_forward)
      : engine(served), loop(served.make_loop()) {
    loop->on_forward(std::move(on_forward));
    max_requests = service_options.max_waiting + loop->max_live();
    thread = std::thread([this] { serve(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      draining = true;
      for (const auto& [ticket, entry] : entries) cancelled.push_back(ticket);
      closing = true;
    }
    changed.notify_all();
    thread.join();
  }

  void serve();
  /// Hands over what has arrived since the last step; false when the service ends.
  bool take_commands(std::vector<Ticket>& to_cancel, std::vector<Ticket>& expired);
  void fail_all(const std::string& message);
  void deliver(Ticket ticket, GenerateResult result);
  ForwardListener listener_of(Ticket ticket) const;

  Engine& engine;
  std::size_t max_requests = 0;
  std::unique_ptr<StepLoop> loop;  ///< of the loop's thread alone

  mutable std::mutex mutex;
  std::condition_variable changed;            ///< something arrived, was cancelled, or has ended
  std::unordered_map<Ticket, Entry> entries;  ///< of all requests that have not ended
  std::deque<Arrival> arrivals;
  std::vector<Ticket> cancelled;
  Ticket next_ticket = 1;
  std::size_t open = 0;        ///< entries whose result has not been handed over
  std::size_t live = 0;        ///< as of the last step
  std::uint64_t kv_bytes = 0;  ///< as of the last step
  bool draining = false;
  bool closing = false;

  std::thread thread;
};

/// Something that no request is to blame for went wrong in the loop: it begins anew.
void Service::Impl::fail_all(const std::string& message) {
  std::vector<Ticket> tickets;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [ticket, entry] : entries) tickets.push_back(ticket);
    arrivals.clear();
    cancelled.clear();
  }
  auto on_forward = loop->on_forward();
  loop = engine.make_loop();
  loop->on_forward(std::move(on_forward));
  for (const Ticket ticket : tickets) {
    GenerateResult result;
    result.finish_reason = FinishReason::kError;
    result.error = Failure{ErrorCode::kInternal, message};
    deliver(ticket, std::move(result));
  }
}

bool Service::Impl::take_commands(std::vector<Ticket>& to_cancel, std::vector<Ticket>& expired) {
  std::unique_lock lock(mutex);
  live = loop->live();
  kv_bytes = loop->kv_bytes();
  while (arrivals.empty() && cancelled.empty() && loop->waiting() + loop->live() == 0) {
    if (closing && entries.empty()) return false;
    changed.wait(lock);
  }
  for (Arrival& arrival : arrivals) {
    loop->submit(arrival.ticket, arrival.request, listener_of(arrival.ticket));
  }
  arrivals.clear();
  to_cancel = std::exchange(cancelled, {});
  const Clock::time_point now = Clock::now();
  for (auto& [ticket, entry] : entries) {
    if (!entry.deadline || *entry.deadline > now) continue;
    entry.deadline.reset();
    expired.push_back(ticket);
  }
  return true;
}

/// To be called with the mutex held. Elements of the map stay where they are as long as their
/// requests live.
ForwardListener Service::Impl::listener_of(Ticket ticket) const {
  const auto& handler = entries.at(ticket).handlers.on_progress;
  if (!handler) return {};
  return [&handler](const ForwardProgress& progress) {
    handler(progress);
    return true;
  };
}

void Service::Impl::deliver(Ticket ticket, GenerateResult result) {
  Handlers handlers;
  {
    const std::lock_guard lock(mutex);
    const auto found = entries.find(ticket);
    check(found != entries.end(), "a result of a request that has ended");
    handlers = std::move(found->second.handlers);
    --open;  // who hears of the end may ask again at once
  }
  if (handlers.on_result) handlers.on_result(std::move(result));
  {
    const std::lock_guard lock(mutex);
    entries.erase(ticket);
  }
  changed.notify_all();
}

void Service::Impl::serve() {
  const StepLoop::ResultCallback on_result = [this](std::size_t ticket, GenerateResult result) {
    deliver(ticket, std::move(result));
  };
  const Engine::StepCallback on_step = [this](const StepEvent& event) {
    const std::function<void(const StepEvent&)>* handler = nullptr;
    {
      const std::lock_guard lock(mutex);
      // Elements of the map stay where they are, and only this thread erases them.
      handler = &entries.at(event.request).handlers.on_step;
    }
    if (*handler) (*handler)(event);
    return true;
  };
  for (;;) {
    std::vector<Ticket> to_cancel;
    std::vector<Ticket> expired;
    if (!take_commands(to_cancel, expired)) return;
    try {
      for (const Ticket ticket : to_cancel) loop->end(ticket, FinishReason::kCancelled, on_result);
      for (const Ticket ticket : expired) loop->end(ticket, FinishReason::kDeadline, on_result);
      loop->step(on_step, on_result);
    } catch (const std::exception& error) {
      fail_all(error.what());
    }
  }
}

Service::Service(Engine& engine, const ServiceOptions& options,
                 std::function<void(const ForwardInfo&)> on_forward)
    : impl_(std::make_unique<Impl>(engine, options, std::move(on_forward))) {}

Service::~Service() = default;

Service::Ticket Service::submit(GenerateRequest request, Handlers handlers,
                                std::optional<std::chrono::milliseconds> deadline) {
  std::vector<Submission> one;
  one.push_back({std::move(request), std::move(handlers)});
  return submit_all(std::move(one), deadline).front();
}

std::vector<Service::Ticket> Service::submit_all(
    std::vector<Submission> submissions, std::optional<std::chrono::milliseconds> deadline) {
  for (const Submission& submission : submissions) impl_->engine.validate(submission.request);
  std::vector<Ticket> tickets;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->draining) {
      fail(ErrorCode::kUnavailable, "the service is shutting down and takes no new requests");
    }
    if (impl_->open + submissions.size() > impl_->max_requests) {
      fail(ErrorCode::kBusy, "{} requests are being answered or wait; try again later",
           impl_->open);
    }
    std::optional<Clock::time_point> end;
    if (deadline) end = Clock::now() + *deadline;
    impl_->open += submissions.size();
    for (Submission& submission : submissions) {
      const Ticket ticket = tickets.emplace_back(impl_->next_ticket++);
      impl_->entries.emplace(ticket, Impl::Entry{std::move(submission.handlers), end});
      impl_->arrivals.push_back({ticket, std::move(submission.request)});
    }
  }
  impl_->changed.notify_all();
  return tickets;
}

void Service::cancel(Ticket ticket) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->entries.contains(ticket)) return;
    impl_->cancelled.push_back(ticket);
  }
  impl_->changed.notify_all();
}

void Service::drain() {
  std::unique_lock lock(impl_->mutex);
  impl_->draining = true;
  impl_->changed.wait(lock, [&] { return impl_->entries.empty(); });
}

ServiceState Service::state() const {
  const std::lock_guard lock(impl_->mutex);
  const std::size_t live = std::min(impl_->live, impl_->open);
  return {impl_->open - live, live, impl_->kv_bytes, impl_->draining};
}

}  // namespace fdllm
