#include "fastdllm/service.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/failure.h"
#include "engine/load.h"
#include "engine/step_loop.h"

namespace fdllm {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

// What the loop's thread does between steps allocates nothing: lists and map nodes are moved, and
// what is asked of a request is noted in its entry. So nothing but a request of its own can fail.
struct Service::Impl {
  struct Entry {
    Handlers handlers;
    std::optional<Clock::time_point> deadline;
    bool admitted = false;               ///< the loop knows it
    std::optional<FinishReason> ending;  ///< asked for, and not yet told to the loop
    std::optional<Failure> failure;      ///< of its own on_step
  };
  struct Arrival {
    Ticket ticket;
    ResolvedRequest request;
  };
  struct Ending {
    Ticket ticket;
    FinishReason reason;
  };

  Impl(Engine& served, const ServiceOptions& service_options,
       std::function<void(const ForwardInfo&)> on_forward)
      : loop(EngineAccess::model_of(served).make_loop()), engine(served) {
    loop->on_forward(std::move(on_forward));
    max_requests = service_options.max_waiting + loop->max_live();
    try {
      thread = std::thread([this] { serve(); });
    } catch (const std::system_error& error) {
      fail(ErrorCode::kUnavailable, "the service has no thread to run on: {}", error.what());
    }
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      draining = true;
      closing = true;
      for (auto& [ticket, entry] : entries) entry.ending = FinishReason::kCancelled;
      has_endings = true;
    }
    changed.notify_all();
    thread.join();
  }

  std::vector<Ticket> queue(std::vector<Submission> submissions,
                            std::optional<std::chrono::milliseconds> allowed);
  void serve() noexcept;
  /// Waits for something to do; false when the service ends.
  bool wait_for_work(std::list<Arrival>& arrived);
  std::optional<Ending> next_ending();
  void admit(std::list<Arrival>& arrived);
  bool step_handler(const StepEvent& event) noexcept;
  void deliver(Ticket ticket, GenerateResult result) noexcept;
  ForwardListener listener_of(Ticket ticket);

  const std::unique_ptr<StepLoop> loop;  ///< of the loop's thread alone, but for require_fits()
  const Engine& engine;
  std::size_t max_requests = 0;

  mutable std::mutex mutex;
  std::condition_variable changed;  ///< something arrived, was cancelled, or has ended
  std::map<Ticket, Entry> entries;  ///< of all requests that have not ended
  std::list<Arrival> arrivals;
  bool has_endings = false;  ///< some entry's `ending` is set
  Ticket next_ticket = 1;
  std::size_t open = 0;        ///< entries whose result has not been handed over
  std::size_t live = 0;        ///< as of the last step
  std::uint64_t kv_bytes = 0;  ///< as of the last step
  bool device_failed = false;  ///< as of the last step
  bool draining = false;
  bool closing = false;

  std::thread thread;
};

std::vector<Service::Ticket> Service::Impl::queue(
    std::vector<Submission> submissions, std::optional<std::chrono::milliseconds> allowed) {
  std::vector<Ticket> tickets;
  tickets.reserve(submissions.size());
  // Made before anything is changed: where memory runs out, nothing has been queued.
  std::map<Ticket, Entry> new_entries;
  std::list<Arrival> new_arrivals;
  {
    const std::lock_guard lock(mutex);
    if (draining) {
      fail(ErrorCode::kUnavailable, "the service is shutting down and takes no new requests");
    }
    if (open + submissions.size() > max_requests) {
      fail(ErrorCode::kBusy, "{} requests are being answered or wait; try again later", open);
    }
    std::optional<Clock::time_point> end;
    if (allowed) end = Clock::now() + *allowed;
    for (Submission& submission : submissions) {
      const Ticket ticket = tickets.emplace_back(next_ticket++);
      Entry& entry = new_entries[ticket];
      entry.handlers = std::move(submission.handlers);
      entry.deadline = end;
      new_arrivals.push_back({ticket, std::move(submission.request)});
    }
    open += submissions.size();
    entries.merge(new_entries);
    arrivals.splice(arrivals.end(), new_arrivals);
  }
  changed.notify_all();
  return tickets;
}

bool Service::Impl::wait_for_work(std::list<Arrival>& arrived) {
  std::unique_lock lock(mutex);
  live = loop->live();
  kv_bytes = loop->kv_bytes();
  device_failed = loop->device_failed();
  while (arrivals.empty() && !has_endings && loop->waiting() + loop->live() == 0) {
    if (closing && entries.empty()) return false;
    changed.wait(lock);
  }
  arrived.splice(arrived.end(), arrivals);
  for (const Arrival& arrival : arrived) entries.find(arrival.ticket)->second.admitted = true;
  return true;
}

/// A request that was cancelled or whose time is over, each once.
std::optional<Service::Impl::Ending> Service::Impl::next_ending() {
  const std::lock_guard lock(mutex);
  const Clock::time_point now = Clock::now();
  has_endings = false;
  for (auto& [ticket, entry] : entries) {
    if (entry.deadline && *entry.deadline <= now && !entry.ending) {
      entry.ending = FinishReason::kDeadline;
    }
    if (!entry.ending) continue;
    has_endings = true;
    if (!entry.admitted) continue;
    const FinishReason reason = *entry.ending;
    entry.ending.reset();
    entry.deadline.reset();
    return Ending{ticket, reason};
  }
  return std::nullopt;
}

ForwardListener Service::Impl::listener_of(Ticket ticket) {
  const std::lock_guard lock(mutex);
  // Elements of the map stay where they are as long as their requests live.
  const auto& handler = entries.find(ticket)->second.handlers.on_progress;
  if (!handler) return {};
  return [&handler](const ForwardProgress& progress) {
    try {
      handler(progress);
    } catch (...) {
      // Progress that nobody hears of changes nothing.
    }
    return true;
  };
}

void Service::Impl::admit(std::list<Arrival>& arrived) {
  for (Arrival& arrival : arrived) {
    try {
      loop->submit(arrival.ticket, std::move(arrival.request), listener_of(arrival.ticket));
    } catch (...) {
      GenerateResult result;
      result.finish_reason = FinishReason::kError;
      result.error = current_failure();
      deliver(arrival.ticket, std::move(result));
    }
  }
  arrived.clear();
}

/// An answer of which its owner missed a step is no answer: the request ends with an error.
bool Service::Impl::step_handler(const StepEvent& event) noexcept {
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(mutex);
    // Elements of the map stay where they are, and only this thread erases them.
    entry = &entries.find(event.request)->second;
  }
  if (!entry->handlers.on_step) return true;
  try {
    entry->handlers.on_step(event);
    return true;
  } catch (...) {
    entry->failure = current_failure();
    return false;
  }
}

void Service::Impl::deliver(Ticket ticket, GenerateResult result) noexcept {
  std::map<Ticket, Entry>::iterator entry;
  {
    const std::lock_guard lock(mutex);
    entry = entries.find(ticket);
    if (entry == entries.end()) return;
    --open;  // who hears of the end may ask again at once
  }
  if (entry->second.failure) {
    result.error = std::move(entry->second.failure);
    result.finish_reason = FinishReason::kError;
  }
  try {
    if (entry->second.handlers.on_result) entry->second.handlers.on_result(std::move(result));
  } catch (...) {
    // Nobody is left to be told; the request has ended all the same.
  }
  {
    const std::lock_guard lock(mutex);
    entries.erase(entry);
  }
  changed.notify_all();
}

void Service::Impl::serve() noexcept {
  const StepLoop::ResultCallback on_result = [this](std::size_t ticket, GenerateResult result) {
    deliver(ticket, std::move(result));
  };
  const Engine::StepCallback on_step = [this](const StepEvent& event) {
    return step_handler(event);
  };
  std::list<Arrival> arrived;
  while (wait_for_work(arrived)) {
    admit(arrived);
    try {
      while (const std::optional<Ending> ending = next_ending()) {
        loop->end(ending->ticket, ending->reason, on_result);
      }
      loop->step(on_step, on_result);
    } catch (...) {  // no request is to blame
      loop->fail_all(current_failure(), on_result);
    }
  }
}

Service::Service(Engine& engine, const ServiceOptions& options,
                 std::function<void(const ForwardInfo&)> on_forward)
    : impl_(std::make_unique<Impl>(engine, options, std::move(on_forward))) {}

Service::~Service() = default;

Service::Ticket Service::submit(GenerateRequest request, Handlers handlers,
                                std::optional<std::chrono::milliseconds> deadline) {
  return submit(impl_->engine.resolve(std::move(request)), std::move(handlers), deadline);
}

Service::Ticket Service::submit(ResolvedRequest request, Handlers handlers,
                                std::optional<std::chrono::milliseconds> deadline) {
  std::vector<Submission> one;
  one.push_back({std::move(request), std::move(handlers)});
  return submit_all(std::move(one), deadline).front();
}

std::vector<Service::Ticket> Service::submit_all(
    std::vector<Submission> submissions, std::optional<std::chrono::milliseconds> deadline) {
  try {
    for (const Submission& submission : submissions) {
      impl_->loop->require_fits(submission.request);
    }
    return impl_->queue(std::move(submissions), deadline);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory();
  }
}

void Service::cancel(Ticket ticket) noexcept {
  {
    const std::lock_guard lock(impl_->mutex);
    const auto entry = impl_->entries.find(ticket);
    if (entry == impl_->entries.end()) return;
    entry->second.ending = FinishReason::kCancelled;
    impl_->has_endings = true;
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
  return {impl_->open - live, live, live == 0 ? 0 : impl_->kv_bytes, impl_->draining,
          impl_->device_failed};
}

}  // namespace fdllm
