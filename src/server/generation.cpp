#include "server/generation.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <utility>

namespace fdllm::server {
namespace {

using Clock = std::chrono::steady_clock;

/// Measures the steps of one request; used by the service's thread alone.
class StepClock {
 public:
  StepClock(Metrics& metrics, Clock::time_point arrival)
      : metrics_(metrics), arrival_(arrival), last_(arrival) {}

  void step(const StepEvent& event) {
    const Clock::time_point now = Clock::now();
    if (has_stepped_) metrics_.step(std::chrono::duration<double>(now - last_).count());
    if (!has_committed_ && !event.committed.empty()) {
      metrics_.first_token(std::chrono::duration<double>(now - arrival_).count());
      has_committed_ = true;
    }
    has_stepped_ = true;
    last_ = now;
  }

 private:
  Metrics& metrics_;
  Clock::time_point arrival_, last_;
  bool has_stepped_ = false, has_committed_ = false;
};

}  // namespace

struct Generation::Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::list<GenerationUpdate> updates;

  void put(std::list<GenerationUpdate>& update) noexcept {
    {
      const std::lock_guard lock(mutex);
      updates.splice(updates.end(), update);
    }
    changed.notify_one();
  }

  /// In place of progress that its reader has not fetched yet.
  void put_progress(std::size_t request, const ForwardProgress& progress) {
    {
      const std::lock_guard lock(mutex);
      const auto same = [&](const GenerationUpdate& update) {
        return update.forward && update.request == request;
      };
      const auto old = std::find_if(updates.rbegin(), updates.rend(), same);
      if (old != updates.rend() && old->forward->step == progress.step) {
        old->forward = progress;
        return;
      }
    }
    std::list<GenerationUpdate> update(1);
    update.back().request = request;
    update.back().forward = progress;
    put(update);
  }
};

Generation::Generation(Service& service, Metrics& metrics, Events events)
    : service_(service),
      metrics_(metrics),
      events_(events),
      mailbox_(std::make_shared<Mailbox>()) {}

Generation::~Generation() {
  for (const Service::Ticket ticket : tickets_) {
    try {
      service_.cancel(ticket);
    } catch (const std::exception&) {
      // No memory to say so: the request runs to its end, and nobody hears of it.
    }
  }
}

void Generation::submit(std::vector<ResolvedRequest> requests,
                        std::optional<std::chrono::milliseconds> deadline) {
  std::vector<Service::Submission> submissions;
  for (ResolvedRequest& request : requests) {
    const std::size_t index = submissions.size();
    Service::Handlers handlers;
    handlers.on_step =
        [mailbox = mailbox_, index, events = events_,
         clock = std::make_shared<StepClock>(metrics_, Clock::now())](const StepEvent& event) {
          clock->step(event);
          if (events == Events::kResults) return;
          std::list<GenerationUpdate> update;
          StepEvent& copy = update.emplace_back().step.emplace(event);
          update.back().request = index;
          if (events == Events::kSteps) copy.provisional.clear();
          mailbox->put(update);
        };
    if (events_ == Events::kDenoising) {
      handlers.on_progress = [mailbox = mailbox_, index](const ForwardProgress& progress) {
        mailbox->put_progress(index, progress);
      };
    }
    // Made now: a result must arrive also where no memory is left by then.
    const auto last = std::make_shared<std::list<GenerationUpdate>>(1);
    last->back().request = index;
    handlers.on_result = [mailbox = mailbox_, last, &metrics = metrics_](GenerateResult result) {
      metrics.result(result);
      last->back().result = std::move(result);
      mailbox->put(*last);
    };
    submissions.push_back({std::move(request), std::move(handlers)});
  }
  tickets_ = service_.submit_all(std::move(submissions), deadline);
  unfinished_ += tickets_.size();
}

std::optional<GenerationUpdate> Generation::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mailbox_->mutex);
  if (!mailbox_->changed.wait_for(lock, time, [this] { return !mailbox_->updates.empty(); })) {
    return std::nullopt;
  }
  GenerationUpdate update = std::move(mailbox_->updates.front());
  mailbox_->updates.pop_front();
  if (update.result) --unfinished_;
  return update;
}

}  // namespace fdllm::server
