#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "fastdllm/engine.h"
#include "fastdllm/service.h"

#include "server/metrics.h"
#include "server/server.h"

namespace fdllm::server {

/// What the routes work with.
struct Context {
  const Engine& engine;
  Service& service;
  Metrics& metrics;
  const ServerOptions& options;
  std::string model;  ///< the name under which the model is served
  std::int64_t created = 0;
  std::atomic<bool> draining{false};
  std::atomic<bool> aborting{false};
};

}  // namespace fdllm::server
