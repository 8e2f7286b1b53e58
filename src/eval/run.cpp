#include "eval/run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "fastdllm/service.h"

#include "base/check.h"
#include "engine/answer_cut.h"
#include "eval/data.h"

namespace fdllm::eval {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kCancelInterval = std::chrono::milliseconds(100);

const std::vector<std::string>& stop_strings(const Task& task, const RunOptions& options) {
  return options.chat ? task.chat_stop : task.stop;
}

/// Cuts an answer before the first stop string, as the engine does where it may stop early.
void cut_at_stop(const Engine& engine, const std::vector<std::string>& stop,
                 GenerateResult& result) {
  AnswerCut cut = cut_answer(result.ids, {}, stop, token_bytes_of(engine));
  result.ids.resize(cut.tokens);
  result.text = std::move(cut.text);
}

/// An answer, from the thread that decodes for the one that runs.
struct Answered {
  std::size_t item;
  GenerateResult result;
  double clock;
};

class Inbox {
 public:
  void put(Answered answered) {
    const std::lock_guard lock(mutex_);
    answered_.push_back(std::move(answered));
    changed_.notify_all();
  }
  void put(const ForwardProgress& progress) {
    const std::lock_guard lock(mutex_);
    progress_ = progress;
    changed_.notify_all();
  }
  /// Waits until there is something, or for a while; returns the newest progress, if any.
  std::optional<ForwardProgress> take(std::vector<Answered>& answered) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kCancelInterval, [&] { return !answered_.empty() || progress_; });
    answered = std::exchange(answered_, {});
    return std::exchange(progress_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answered> answered_;
  std::optional<ForwardProgress> progress_;
};

/// A run under way. Members are destroyed in reverse: first who writes into the inbox.
class Run {
 public:
  Run(Engine& engine, const Task& task, const RunOptions& options, const RunCallbacks& callbacks)
      : engine_(engine), task_(task), options_(options), callbacks_(callbacks) {
    for (std::size_t i = 0; i < task.items.size(); ++i) {
      if (!options.skip.contains(task.items[i].id)) order_.push_back(i);
    }
    const auto waiting = static_cast<std::size_t>(options.concurrency);
    service_ = std::make_unique<Service>(engine, ServiceOptions{.max_waiting = waiting});
  }

  RunResult finish() {
    start_ = SteadyClock::now();
    std::vector<Answered> answered;
    submit_more();
    while (done_ < order_.size()) {
      if (callbacks_.cancelled && callbacks_.cancelled()) {
        result_.cancelled = true;
        break;
      }
      const auto progress = inbox_.take(answered);
      if (progress && callbacks_.on_forward) callbacks_.on_forward(*progress);
      std::vector<ItemRecord> ready;
      for (Answered& answer : answered) ready.push_back(take(answer));
      submit_more();  // before the records are handed out, which may take a while
      for (const ItemRecord& record : ready) hand_out(record);
    }
    for (const std::size_t item : order_) {
      if (const auto found = finished_.find(item); found != finished_.end()) {
        result_.records.push_back(std::move(found->second));
      }
    }
    return std::move(result_);
  }

 private:
  ItemRecord new_record(std::size_t item) const {
    ItemRecord record;
    record.id = task_.items[item].id;
    record.expected = task_.items[item].expected;
    return record;
  }

  void submit_more() {
    while (in_flight_ < options_.concurrency && next_ < order_.size()) {
      const std::size_t item = order_[next_++];
      GenerateRequest request;
      ItemRecord record = new_record(item);
      try {
        const std::string prompt = full_prompt(engine_, task_, task_.items[item], options_);
        record.prompt_hash = hash_bytes(prompt);
        request.prompt_ids = engine_.tokenize(prompt, AroundText::kUnlessThere);
        record.prompt_tokens = std::ssize(request.prompt_ids);
        request.options = options_.generate;
        request.options.seed += item;  // or sampling would draw the same numbers for every item
        if (options_.generate.eos_stop) {
          for (const std::string& text : stop_strings(task_, options_)) {
            request.options.stop.push_back(text);
          }
        }
        pending_[item] = record;
        Service::Handlers handlers;
        handlers.on_result = [this, item](GenerateResult result) {
          const std::chrono::duration<double> clock = SteadyClock::now() - start_;
          inbox_.put(Answered{item, std::move(result), clock.count()});
        };
        if (callbacks_.on_forward) {
          handlers.on_progress = [this](const ForwardProgress& progress) { inbox_.put(progress); };
        }
        service_->submit(std::move(request), std::move(handlers));
        ++in_flight_;
      } catch (const Error& error) {
        pending_.erase(item);
        set_error(record, {error.code(), error.what()});
        finished_[item] = record;
        hand_out(record);
      }
    }
  }

  /// The whole record of an answered item.
  ItemRecord take(Answered& answer) {
    --in_flight_;
    GenerateResult& result = answer.result;
    ItemRecord record = std::move(pending_.extract(answer.item).mapped());
    result_.seconds = std::max(result_.seconds, answer.clock);
    record.clock = answer.clock;
    record.seconds = result.seconds;
    record.refresh_forwards = result.refresh_forwards;
    record.window_forwards = result.window_forwards;
    record.query_rows = result.query_rows;
    record.scored_rows = result.scored_rows;
    record.attention_pairs = result.attention_pairs;
    record.finish = result.finish_reason;
    if (result.error) {
      set_error(record, *result.error);
    } else {
      if (!options_.generate.eos_stop) cut_at_stop(engine_, stop_strings(task_, options_), result);
      record.text = std::move(result.text);
      record.useful_tokens = std::ssize(result.ids);
      Extraction extraction = task_.extract(task_.items[answer.item], record.text);
      record.extracted = std::move(extraction.extracted);
      record.correct = extraction.correct;
      record.correct_strict = extraction.correct_strict;
    }
    finished_[answer.item] = record;
    return record;
  }

  static void set_error(ItemRecord& record, const Failure& failure) {
    record.finish = FinishReason::kError;
    record.error = failure.message;
    record.error_code = failure.code;
  }

  void hand_out(const ItemRecord& record) {
    ++done_;
    if (callbacks_.on_item) callbacks_.on_item(record);
  }

  Engine& engine_;
  const Task& task_;
  const RunOptions& options_;
  const RunCallbacks& callbacks_;
  std::vector<std::size_t> order_;  ///< indices of the items that are to be run
  std::size_t next_ = 0;            ///< of order_: the first that has not been submitted
  std::size_t done_ = 0;
  std::int32_t in_flight_ = 0;
  std::map<std::size_t, ItemRecord> pending_, finished_;
  RunResult result_;
  SteadyClock::time_point start_;
  Inbox inbox_;
  std::unique_ptr<Service> service_;
};

void check_options(const Engine& engine, const RunOptions& options) {
  if (options.concurrency < 1) {
    fail(ErrorCode::kInvalidArgument, "--concurrency: expected 1 or more, found {}",
         options.concurrency);
  }
  if (options.chat && !engine.has_chat_template()) {
    fail(ErrorCode::kInvalidArgument, "--chat: {} has no chat template", engine.info().path);
  }
  if (!options.chat && options.shot_style == ShotStyle::kTurns) {
    fail(ErrorCode::kInvalidArgument,
         "--shots-as turns: turns need a chat template; give --shots-as text");
  }
  GenerateRequest probe;
  probe.options = options.generate;
  engine.resolve(probe);
}

}  // namespace

std::string full_prompt(const Engine& engine, const Task& task, const Item& item,
                        const RunOptions& options) {
  if (!options.chat) return prompt_text(task, item);
  const ShotStyle style = options.shot_style.value_or(task.chat_shots);
  return engine.apply_chat_template(prompt_messages(task, item, style));
}

RunResult run(Engine& engine, const Task& task, const RunOptions& options,
              const RunCallbacks& callbacks) {
  check_options(engine, options);
  return Run(engine, task, options, callbacks).finish();
}

}  // namespace fdllm::eval
