#include "server/respond.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "server/answer_progress.h"
#include "server/equal_answers.h"
#include "server/generation.h"
#include "server/sse.h"

namespace fdllm::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr auto kSilence = std::chrono::seconds(15);
constexpr int kClientGone = 499;  // nobody sees it but the log

std::string_view id_prefix(ChunkShape shape) {
  switch (shape) {
    case ChunkShape::kChat:
      return "chatcmpl-";
    case ChunkShape::kCompletion:
      return "cmpl-";
    case ChunkShape::kInfill:
      break;
  }
  return "infill-";
}

std::optional<std::chrono::milliseconds> deadline_of(const ServerOptions& options) {
  if (options.request_seconds <= 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(options.request_seconds * 1000));
}

Generation::Events events_of(const GenerationFields& fields) {
  if (fields.denoising) return Generation::Events::kDenoising;
  return fields.stream || fields.logprobs ? Generation::Events::kSteps
                                          : Generation::Events::kResults;
}

ApiError aborted() {
  return {503, "The server was stopped before the answer was complete.", "", "cancelled"};
}

/// An AnswerJob under way.
class Responder {
 public:
  Responder(Context& context, const HttpRequest& request, AnswerJob job)
      : context_(context),
        connected_(request.connected),
        job_(std::move(job)),
        cost_(std::make_shared<RequestCost>()),
        generation_(context.service, context.metrics, events_of(job_.fields)) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    head_ = {std::string(id_prefix(job_.shape)) + request.id,
             std::chrono::duration_cast<std::chrono::seconds>(now).count(), context.model};
    usage_.prompt_tokens = job_.prompt_tokens;
    choices_.resize(job_.answers.size());
    equal_ = group_equal(job_.answers);
    for (std::size_t i = 0; i < job_.answers.size(); ++i) {
      const auto index = static_cast<std::int32_t>(i);
      progress_.push_back(
          job_.shape == ChunkShape::kInfill
              ? infill_progress(context.engine, job_.answers[i], index)
              : text_progress(context.engine, job_.answers[i], index, job_.fields.logprobs));
    }
    std::vector<GenerateRequest> requests;
    for (const std::size_t first : equal_.firsts) requests.push_back(job_.answers[first].request);
    generation_.submit(std::move(requests), deadline_of(context.options));
  }

  const std::shared_ptr<RequestCost>& cost() const { return cost_; }

  /// Waits for all answers; none where the client has gone.
  std::optional<std::string> whole() {
    while (generation_.unfinished() > 0) {
      const auto update = generation_.wait(kPoll);
      if (context_.aborting) throw aborted();
      if (client_is_gone()) return std::nullopt;
      if (!update) continue;
      for (const std::size_t choice : equal_.groups[update->request]) {
        if (update->step) progress_[choice]->push(*update->step);
        if (update->result) finish(choice, *update->result);
      }
      if (update->result) count(*update->result);
    }
    require_begun();
    switch (job_.shape) {
      case ChunkShape::kChat:
        return chat_json(head_, choices_, usage_);
      case ChunkShape::kCompletion:
        return completion_json(head_, choices_, usage_);
      case ChunkShape::kInfill:
        break;
    }
    return infill_json(head_, choices_, usage_);
  }

  /// Sends all answers as they come; false where the client has gone.
  bool stream(const BodyWriter& write) {
    if (!write(opening())) return false;
    Clock::time_point last = Clock::now();
    while (generation_.unfinished() > 0) {
      const auto update = generation_.wait(kPoll);
      if (context_.aborting) throw aborted();
      if (client_is_gone()) return false;
      std::string events;
      if (update) {
        for (const std::size_t choice : equal_.groups[update->request]) {
          events += events_for(*update, choice);
        }
        if (update->result) count(*update->result);
      }
      if (events.empty() && Clock::now() - last > kSilence) events = kSseKeepAlive;
      if (events.empty()) continue;
      if (!write(events)) return false;
      last = Clock::now();
    }
    require_begun();
    std::string closing = std::exchange(late_events_, {});
    if (job_.shape == ChunkShape::kInfill) {
      closing += sse_event(infill_json(head_, choices_, usage_));
    } else if (job_.fields.include_usage || job_.fields.denoising) {
      closing += sse_event(usage_chunk(job_.shape, head_, usage_));
    }
    return write(closing += kSseDone);
  }

 private:
  /// Asks the system at most once in a while.
  bool client_is_gone() {
    const Clock::time_point now = Clock::now();
    if (now - asked_ < kPoll) return false;
    asked_ = now;
    return !connected_();
  }

  std::string opening() const {
    std::string events;
    for (std::size_t i = 0; i < progress_.size(); ++i) {
      if (job_.shape == ChunkShape::kChat) {
        events += sse_event(role_chunk(head_, static_cast<std::int32_t>(i)));
      }
      if (job_.fields.denoising) {
        events += sse_event(canvas_chunk(job_.shape, head_, progress_[i]->canvas()));
      }
    }
    return events;
  }

  std::string events_for(const GenerationUpdate& update, std::size_t choice) {
    AnswerProgress& progress = *progress_[choice];
    std::string events;
    if (update.forward) {
      events += sse_event(
          forward_chunk(job_.shape, head_, static_cast<std::int32_t>(choice), *update.forward));
    }
    if (update.step) {
      if (job_.fields.denoising) {
        events += sse_event(denoising_chunk(job_.shape, head_, progress.denoising(*update.step)));
      }
      Choice part;
      part.index = static_cast<std::int32_t>(choice);
      part.text = progress.push(*update.step);
      if (!part.text.empty()) events += sse_event(text_chunk(job_.shape, head_, part));
    }
    if (update.result) {
      finish(choice, *update.result);
      Choice last = choices_[choice];
      last.text = progress.rest(last);
      // Of one that never began it is not known yet whether that is an error.
      (has_begun(*update.result) ? events : late_events_) +=
          sse_event(text_chunk(job_.shape, head_, last));
    }
    return events;
  }

  static bool has_begun(const GenerateResult& result) {
    return result.finish_reason != FinishReason::kDeadline ||
           result.refresh_forwards + result.window_forwards > 0;
  }

  /// The time that the request had may be over while all its answers wait: then there is none.
  void require_begun() const {
    if (has_begun_) return;
    throw ApiError(503,
                   "The time that this server gives a request was over before its turn came; try "
                   "again later.",
                   "", "deadline");
  }

  void finish(std::size_t choice, const GenerateResult& result) {
    choices_[choice] = progress_[choice]->finish(result);
    usage_.completion_tokens += choices_[choice].tokens;
  }

  /// What equal answers have cost together.
  void count(const GenerateResult& result) {
    has_begun_ |= has_begun(result);
    usage_.forwards += result.refresh_forwards + result.window_forwards;
    usage_.refresh_forwards += result.refresh_forwards;
    usage_.seconds = std::max(usage_.seconds, result.seconds);
    *cost_ = {usage_.prompt_tokens, usage_.completion_tokens, usage_.forwards};
  }

  Context& context_;
  std::function<bool()> connected_;
  AnswerJob job_;
  std::shared_ptr<RequestCost> cost_;
  AnswerHead head_;
  Usage usage_;
  std::vector<std::unique_ptr<AnswerProgress>> progress_;
  std::vector<Choice> choices_;  ///< those that have ended
  EqualAnswers equal_;
  bool has_begun_ = false;   ///< some request ran a forward, or ended for another reason
  std::string late_events_;  ///< the last chunks of choices that never began
  Generation generation_;
  Clock::time_point asked_ = Clock::now();
};

std::string error_events(const ApiError& error) {
  return sse_event(error_json(error)) + std::string(kSseDone);
}

/// Once a stream has begun, its status is sent: errors are an event.
bool stream_safely(Responder& responder, const BodyWriter& write) {
  try {
    return responder.stream(write);
  } catch (const ApiError& error) {
    return write(error_events(error));
  } catch (const std::exception& error) {
    log_warning("a stream: {}", error.what());
    return write(error_events({500, "A bug in the server; its log says more."}));
  }
}

}  // namespace

HttpResponse respond(Context& context, const HttpRequest& request, AnswerJob job) {
  const bool stream = job.fields.stream;
  const auto responder = std::make_shared<Responder>(context, request, std::move(job));
  HttpResponse response;
  response.cost = responder->cost();
  if (stream) {
    response.content_type = kSseContentType;
    response.headers.emplace_back("Cache-Control", "no-store");
    // nginx and its kin would hold a stream back until it is whole.
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.stream = [responder](const BodyWriter& write) {
      return stream_safely(*responder, write);
    };
    return response;
  }
  std::optional<std::string> body = responder->whole();
  response.status = body ? 200 : kClientGone;
  response.body = std::move(body).value_or("");
  return response;
}

}  // namespace fdllm::server
