#include "server/respond.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
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
    case ChunkShape::kEditor:
      break;
  }
  return "infill-";
}

std::optional<std::chrono::milliseconds> deadline_of(const ServerOptions& options) {
  if (options.request_seconds <= 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(options.request_seconds * 1000));
}

/// Choices with more than one answer, of which the most probable is to be found.
bool has_candidates(const AnswerJob& job) {
  return !job.answers.empty() &&
         std::cmp_not_equal(job.answers.back().choice + 1, job.answers.size());
}

Generation::Events events_of(const AnswerJob& job) {
  if (job.fields.denoising) return Generation::Events::kDenoising;
  return job.fields.stream || job.fields.logprobs || has_candidates(job)
             ? Generation::Events::kSteps
             : Generation::Events::kResults;
}

ApiError aborted() {
  return {503, "The server was stopped before the answer was complete.", "", "cancelled"};
}

/// A choice of an answer, and how far its candidates are.
struct ChoiceState {
  Choice choice;            ///< of the best candidate so far
  std::size_t running = 0;  ///< candidates that have not ended
  std::size_t candidates = 0;
  std::size_t best = 0;   ///< its index among all answers
  double confidence = 0;  ///< its mean logarithm
};

/// An AnswerJob under way.
class Responder {
 public:
  Responder(Context& context, const HttpRequest& request, AnswerJob job)
      : context_(context),
        connected_(request.connected),
        job_(std::move(job)),
        cost_(std::make_shared<RequestCost>()),
        generation_(context.service, context.metrics, events_of(job_)) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    head_ = {std::string(id_prefix(job_.shape)) + request.id,
             std::chrono::duration_cast<std::chrono::seconds>(now).count(), context.model,
             job_.fields.include_usage};
    usage_.prompt_tokens = job_.prompt_tokens;
    choices_.resize(static_cast<std::size_t>(job_.answers.back().choice) + 1);
    equal_ = group_equal(job_.answers);
    for (std::size_t i = 0; i < job_.answers.size(); ++i) {
      const std::int32_t index = job_.answers[i].choice;
      ++state_of(i).candidates;
      ++state_of(i).running;
      progress_.push_back(
          job_.shape == ChunkShape::kInfill
              ? infill_progress(context.engine, job_.answers[i], index)
              : text_progress(context.engine, job_.answers[i], index, job_.fields.logprobs));
    }
    std::vector<ResolvedRequest> requests;
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
      if (update->result) count(*update->result);
      for (const std::size_t answer : equal_.groups[update->request]) {
        if (update->step) progress_[answer]->push(*update->step);
        if (update->result) finish(answer, *update->result);
      }
    }
    require_begun();
    return whole_json();
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
        if (update->result) count(*update->result);
        for (const std::size_t answer : equal_.groups[update->request]) {
          events += events_for(*update, answer);
        }
      }
      if (events.empty() && Clock::now() - last > kSilence) events = kSseKeepAlive;
      if (events.empty()) continue;
      if (!write(events)) return false;
      last = Clock::now();
    }
    require_begun();
    return write(closing());
  }

 private:
  /// Asks the system at most once in a while.
  bool client_is_gone() {
    const Clock::time_point now = Clock::now();
    if (now - asked_ < kPoll) return false;
    asked_ = now;
    return !connected_();
  }

  ChoiceState& state_of(std::size_t answer) {
    return choices_[static_cast<std::size_t>(job_.answers[answer].choice)];
  }

  std::string whole_json() const {
    std::vector<Choice> choices;
    for (const ChoiceState& state : choices_) choices.push_back(state.choice);
    switch (job_.shape) {
      case ChunkShape::kChat:
        return chat_json(head_, choices, usage_);
      case ChunkShape::kCompletion:
        return completion_json(head_, choices, usage_);
      case ChunkShape::kInfill:
        return infill_json(head_, choices, usage_);
      case ChunkShape::kEditor:
        break;
    }
    return editor_json(head_, choices.front(), usage_);
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

  std::string closing() {
    std::string events = std::exchange(late_events_, {});
    if (job_.shape == ChunkShape::kEditor) return events;  // the last one says that it is the last
    if (job_.shape == ChunkShape::kInfill) {
      events += sse_event(whole_json());
    } else if (job_.fields.include_usage || job_.fields.denoising) {
      events += sse_event(usage_chunk(job_.shape, head_, usage_));
    }
    return events += kSseDone;
  }

  std::string text_event(const Choice& part) const {
    return sse_event(job_.shape == ChunkShape::kEditor ? editor_json(head_, part, usage_)
                                                       : text_chunk(job_.shape, head_, part));
  }

  /// A chunk with text only, or nothing where there is none.
  std::string text_event(std::int32_t index, std::string text) const {
    if (text.empty()) return "";
    Choice part;
    part.index = index;
    part.text = std::move(text);
    return text_event(part);
  }

  std::string events_for(const GenerationUpdate& update, std::size_t answer) {
    AnswerProgress& progress = *progress_[answer];
    const std::int32_t index = job_.answers[answer].choice;
    const bool is_only = state_of(answer).candidates == 1;
    std::string events;
    if (update.forward) {
      events += sse_event(forward_chunk(job_.shape, head_, index, *update.forward));
    }
    if (update.step) {
      if (job_.fields.denoising) {
        events += sse_event(denoising_chunk(job_.shape, head_, progress.denoising(*update.step)));
      }
      std::string text = progress.push(*update.step);
      if (is_only) events += text_event(index, std::move(text));
    }
    if (update.result && finish(answer, *update.result)) {
      // As OpenAI does: all text, then a chunk without any that says why it ends.
      Choice last = state_of(answer).choice;
      events += text_event(index, is_only ? progress.rest(last) : last.text);
      last.text.clear();
      // Of one that never began it is not known yet whether that is an error.
      (has_begun(*update.result) ? events : late_events_) += text_event(last);
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

  /// Whether that was the last candidate for its choice.
  bool finish(std::size_t answer, const GenerateResult& result) {
    ChoiceState& state = state_of(answer);
    Choice choice = progress_[answer]->finish(result);
    const double confidence = result.finish_reason == FinishReason::kDeadline
                                  ? -std::numeric_limits<double>::infinity()
                                  : progress_[answer]->mean_log_confidence();
    // They end in any order: of equals the first is taken.
    const bool is_first = state.running == state.candidates;
    if (is_first || confidence > state.confidence ||
        (confidence == state.confidence && answer < state.best)) {
      state.choice = std::move(choice);
      state.confidence = confidence;
      state.best = answer;
    }
    --state.running;
    if (state.running == 0) usage_.completion_tokens += state.choice.tokens;
    *cost_ = {usage_.prompt_tokens, usage_.completion_tokens, usage_.forwards};
    return state.running == 0;
  }

  /// What equal answers have cost together.
  void count(const GenerateResult& result) {
    has_begun_ |= has_begun(result);
    usage_.forwards += result.refresh_forwards + result.window_forwards;
    usage_.refresh_forwards += result.refresh_forwards;
    usage_.seconds = std::max(usage_.seconds, result.seconds);
  }

  Context& context_;
  std::function<bool()> connected_;
  AnswerJob job_;
  std::shared_ptr<RequestCost> cost_;
  AnswerHead head_;
  Usage usage_;
  std::vector<std::unique_ptr<AnswerProgress>> progress_;
  std::vector<ChoiceState> choices_;
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
  if (context.draining) {
    throw ApiError(503, "The server is shutting down and takes no new requests.", "", "draining");
  }
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
