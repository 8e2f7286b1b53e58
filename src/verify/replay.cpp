#include "verify/replay.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"

namespace fdllm {
namespace {

using Commits = std::vector<std::pair<std::int32_t, std::int32_t>>;

std::string commits_text(const Commits& commits) {
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(commits.size(), kShown); ++i) {
    text += fmt::format("{}({}, {})", i == 0 ? "" : " ", commits[i].first, commits[i].second);
  }
  if (commits.size() > kShown) text += fmt::format(" and {} more", commits.size() - kShown);
  return text;
}

std::optional<std::string> forward_divergence(const TraceForward& expected,
                                              const TraceForward& found) {
  if (expected.query != found.query) {
    return fmt::format("query: expected [{}, {}), found [{}, {})", expected.query.begin,
                       expected.query.end, found.query.begin, found.query.end);
  }
  Commits wanted = expected.unmasked;
  Commits got = found.unmasked;
  std::ranges::sort(wanted);
  std::ranges::sort(got);
  if (wanted == got) return std::nullopt;
  Commits missing;
  Commits extra;
  std::ranges::set_difference(wanted, got, std::back_inserter(missing));
  std::ranges::set_difference(got, wanted, std::back_inserter(extra));
  std::string text = "committed (position, token):";
  if (!missing.empty()) text += " missing " + commits_text(missing);
  if (!missing.empty() && !extra.empty()) text += ";";
  if (!extra.empty()) text += " not expected " + commits_text(extra);
  return text;
}

}  // namespace

GenerateRequest replay_request(const Trace& trace) {
  GenerateRequest request{.prompt_ids = trace.prompt_ids, .options = trace.options};
  request.options.eos_stop = false;
  request.options.stop.clear();
  return request;
}

std::optional<std::string> replay_obstacle(const Trace& trace, const ResolvedRequest& request) {
  if (trace.quirk) {
    return fmt::format("it shows the reference's defect '{}', which is not imitated", *trace.quirk);
  }
  if (request.depends_on_seed()) return "it draws random numbers";
  if (request.options().correct) {
    return "'correct' was on: only the reference's own behaviour is replayed";
  }
  return std::nullopt;
}

std::optional<std::string> first_divergence(const Trace& expected, const Trace& replayed) {
  const auto& wanted = expected.forwards;
  const auto& got = replayed.forwards;
  for (std::size_t i = 0; i < std::min(wanted.size(), got.size()); ++i) {
    if (const auto difference = forward_divergence(wanted[i], got[i])) {
      return fmt::format("forward {} of {}: {}", i + 1, wanted.size(), *difference);
    }
  }
  const bool too_many = got.size() > wanted.size() && !expected.may_end_early();
  if (got.size() < wanted.size() || too_many) {
    return fmt::format("expected {} forwards that commit, found {}", wanted.size(), got.size());
  }
  // Where a trace ends early, only what its forwards committed is output; the reader has checked
  // that the two agree.
  const auto [left, right] = std::ranges::mismatch(expected.output_ids, replayed.output_ids);
  const bool as_far = left == expected.output_ids.end() &&
                      (expected.all_forwards || right == replayed.output_ids.end());
  if (!expected.may_end_early() && !as_far) {
    return fmt::format("output_ids differ from position {} of the answer on",
                       left - expected.output_ids.begin());
  }
  return std::nullopt;
}

Replayer::Replayer(ReplayOptions options, ReplayReport report)
    : options_(std::move(options)), report_(std::move(report)) {}

void Replayer::run(const std::filesystem::path& file) {
  read_traces(file, {.trace = [this](const TraceLine& line) { replay(line); },
                     .bad_line =
                         [this](const std::string& where, const std::string& error) {
                           report_(where, ReplayOutcome::kFailed, error);
                         }});
}

void Replayer::replay(const TraceLine& line) {
  try {
    Engine& model = engine(line.trace.model);
    const ResolvedRequest request = model.resolve(replay_request(line.trace));
    if (const auto obstacle = replay_obstacle(line.trace, request)) {
      report_(line.where, ReplayOutcome::kNotReplayed, *obstacle);
      return;
    }
    const bool all = line.trace.all_forwards;
    TraceRecorder recorder(all ? TraceRecorder::Keep::kAll : TraceRecorder::Keep::kCommitting);
    const auto results = model.generate(std::span(&request, 1), [&](const StepEvent& event) {
      recorder.add(event);
      return !all || recorder.forwards() < line.trace.forwards.size();
    });
    const GenerateResult& result = results.front();
    if (result.finish_reason == FinishReason::kError) {
      report_(line.where, ReplayOutcome::kFailed, result.error->message);
    } else if (const auto difference = first_divergence(line.trace, recorder.finish({}, result))) {
      report_(line.where, ReplayOutcome::kFailed, *difference);
    } else {
      report_(line.where, ReplayOutcome::kPassed, "");
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    report_(line.where, ReplayOutcome::kFailed, error.what());
  }
}

Engine& Replayer::engine(const std::string& model) {
  const std::filesystem::path path = options_.model ? *options_.model : options_.models / model;
  const std::string key = path.string();
  if (const auto found = engines_.find(key); found != engines_.end()) return found->second;
  // Traces of one model follow each other: another model's memory is given back before this load.
  engines_.clear();
  if (const auto found = load_errors_.find(key); found != load_errors_.end()) {
    fail(ErrorCode::kNotFound, "{}", found->second);
  }
  try {
    return engines_.emplace(key, options_.load(path, options_.engine)).first->second;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    load_errors_.emplace(key, error.what());
    throw;
  }
}

}  // namespace fdllm
