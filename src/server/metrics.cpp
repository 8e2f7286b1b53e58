#include "server/metrics.h"

#include <algorithm>

#include <fmt/format.h>

namespace fdllm::server {
namespace {

std::vector<double> powers(double first, double factor, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

void write_head(std::string& text, std::string_view name, std::string_view type,
                std::string_view help) {
  text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

template <typename T>
void write_value(std::string& text, std::string_view name, std::string_view type,
                 std::string_view help, T value) {
  write_head(text, name, type, help);
  text += fmt::format("{} {}\n", name, value);
}

template <typename Key>
void write_labelled(std::string& text, std::string_view name, std::string_view label,
                    std::string_view help, const std::map<Key, std::uint64_t>& counts) {
  write_head(text, name, "counter", help);
  for (const auto& [key, count] : counts) {
    text += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, key, count);
  }
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto bound = std::ranges::lower_bound(bounds_, value);
  const std::lock_guard lock(mutex_);
  ++counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  sum_ += value;
}

void Histogram::write(std::string& text, std::string_view name, std::string_view help) const {
  write_head(text, name, "histogram", help);
  const std::lock_guard lock(mutex_);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? fmt::format("{:g}", bounds_[i]) : "+Inf";
    text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, total);
  }
  text += fmt::format("{0}_sum {1}\n{0}_count {2}\n", name, sum_, total);
}

Metrics::Metrics()
    : rows_(powers(1, 2, 14)),
      requests_(powers(1, 2, 8)),
      forward_seconds_(powers(0.0005, 2, 16)),
      step_seconds_(powers(0.0005, 2, 16)),
      first_token_seconds_(powers(0.001, 2, 16)),
      request_seconds_(powers(0.001, 2, 18)),
      http_seconds_(powers(0.001, 2, 18)) {}

void Metrics::forward(const ForwardInfo& info) {
  if (info.complete) ++forwards_;
  rows_.observe(static_cast<double>(info.rows));
  requests_.observe(info.requests);
  forward_seconds_.observe(info.seconds);
}

void Metrics::step(double seconds_since_last) {
  step_seconds_.observe(seconds_since_last);
}

void Metrics::first_token(double seconds) {
  first_token_seconds_.observe(seconds);
}

void Metrics::result(const GenerateResult& result) noexcept {
  useful_tokens_ += result.ids.size();
  prompt_tokens_ += result.prompt_ids.size();
  request_seconds_.observe(result.seconds);
  const std::lock_guard lock(mutex_);
  ++finishes_[static_cast<std::size_t>(result.finish_reason)];
}

void Metrics::refused(int status) {
  const std::lock_guard lock(mutex_);
  ++refusals_[status];
}

void Metrics::http(int status, double seconds) {
  http_seconds_.observe(seconds);
  const std::lock_guard lock(mutex_);
  ++statuses_[status];
}

std::string Metrics::text(const ServiceState& state) const {
  std::string text;
  write_value(text, "fastdllm_requests_waiting", "gauge", "Requests that wait for a place.",
              state.waiting);
  write_value(text, "fastdllm_requests_live", "gauge", "Requests that hold keys and values.",
              state.live);
  write_value(text, "fastdllm_kv_bytes", "gauge", "Bytes of keys and values of live requests.",
              state.kv_bytes);
  write_value(text, "fastdllm_draining", "gauge", "1 while no new requests are taken.",
              state.draining ? 1 : 0);
  write_value(text, "fastdllm_forwards_total", "counter", "Forwards that have been completed.",
              forwards_.load());
  write_value(text, "fastdllm_useful_tokens_total", "counter",
              "Tokens of answers before their end token.", useful_tokens_.load());
  write_value(text, "fastdllm_prompt_tokens_total", "counter", "Tokens of prompts.",
              prompt_tokens_.load());
  rows_.write(text, "fastdllm_forward_rows", "Rows of a forward (or of some of its layers).");
  requests_.write(text, "fastdllm_forward_requests", "Requests whose rows a forward batches.");
  forward_seconds_.write(text, "fastdllm_forward_seconds",
                         "Time of a forward (or of some of its layers).");
  step_seconds_.write(text, "fastdllm_step_seconds",
                      "Time between the steps of a request, which includes those of others.");
  first_token_seconds_.write(text, "fastdllm_first_commit_seconds",
                             "Time from a request's arrival to its first committed token.");
  request_seconds_.write(text, "fastdllm_request_seconds",
                         "Time from a request's arrival to its end.");
  http_seconds_.write(text, "fastdllm_http_seconds", "Time of an HTTP request.");
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::uint64_t> finishes;
  for (const FinishReason reason : kFinishReasons) {
    const std::uint64_t count = finishes_[static_cast<std::size_t>(reason)];
    if (count > 0) finishes[name_of(reason)] = count;
  }
  write_labelled(text, "fastdllm_finished_total", "reason", "Requests that have ended, by why.",
                 finishes);
  write_value(text, "fastdllm_device_failed", "gauge",
              "1 where the device runs no forward any more.", state.device_failed ? 1 : 0);
  write_labelled(text, "fastdllm_refused_total", "status",
                 "Requests that were refused before they began, by HTTP status.", refusals_);
  write_labelled(text, "fastdllm_http_responses_total", "status", "HTTP responses by status.",
                 statuses_);
  return text;
}

}  // namespace fdllm::server
