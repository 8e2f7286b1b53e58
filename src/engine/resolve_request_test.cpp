#include "engine/resolve_request.h"

#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

struct Case {
  const char* model;
  void (*change)(GenerateOptions&);
  bool depends;
};

const Case kCases[] = {
    {"llada-nano", [](GenerateOptions&) {}, false},
    {"llada-nano", [](GenerateOptions& o) { o.rule.set("steps", 32); }, false},
    {"llada-nano", [](GenerateOptions& o) { o.temperature = 1; }, true},
    {"llada-nano",
     [](GenerateOptions& o) {
       o.rule.set("steps", 16);
       o.remasking = Remasking::kRandom;
     },
     true},
    {"dream-nano", [](GenerateOptions&) {}, false},
    {"dream-nano",
     [](GenerateOptions& o) {
       o.rule.alg = "origin";
       o.rule.set("steps", 16);
     },
     true},
    {"dream-nano",
     [](GenerateOptions& o) {
       o.rule.alg = "entropy";
       o.rule.set("steps", 16);
     },
     false},
    {"dream-nano",
     [](GenerateOptions& o) {
       o.rule.alg = "entropy";
       o.rule.set("alg_temp", 1);
       o.rule.set("steps", 16);
     },
     true},
};

// What it says is compared with what happens: the order in which tokens are committed.
TEST(ResolvedRequest, DependsOnTheSeedWhereDecodingShowsIt) {
  for (const Case& tried : kCases) {
    EngineOptions engine_options;
    engine_options.threads = 1;
    Engine engine = Engine::load(
        std::filesystem::path(FASTDLLM_SOURCE_DIR) / "models" / tried.model, engine_options);
    std::vector<GenerateRequest> requests(4);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      requests[i].prompt_ids = engine.tokenize("Sam has 18 rocks.");
      requests[i].options.gen_length = 32;
      requests[i].options.eos_stop = false;
      tried.change(requests[i].options);
      requests[i].options.seed = i;
    }
    std::vector<std::vector<std::int32_t>> committed(requests.size());
    const auto results = engine.generate(requests, [&](const StepEvent& event) {
      for (const TokenEvent& token : event.committed) {
        committed[event.request].push_back(token.position);
        committed[event.request].push_back(token.token);
      }
      return true;
    });
    bool differs = false;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      ASSERT_FALSE(results[i].error) << results[i].error->message;
      differs |= committed[i] != committed[0];
    }
    EXPECT_EQ(differs, tried.depends) << tried.model;
    EXPECT_EQ(engine.resolve(requests[0]).depends_on_seed(), tried.depends) << tried.model;
  }
}

}  // namespace
}  // namespace fdllm
