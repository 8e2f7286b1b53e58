#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;

TEST(Histogram, CountsUpToEachBound) {
  Histogram histogram({1, 2, 4});
  for (const double value : {0.5, 1.0, 1.5, 4.0, 100.0}) histogram.observe(value);
  std::string text;
  histogram.write(text, "x", "Help.");
  EXPECT_EQ(text,
            "# HELP x Help.\n# TYPE x histogram\n"
            "x_bucket{le=\"1\"} 2\nx_bucket{le=\"2\"} 3\nx_bucket{le=\"4\"} 4\n"
            "x_bucket{le=\"+Inf\"} 5\nx_sum 107\nx_count 5\n");
}

TEST(Metrics, CountWhatHappens) {
  Metrics metrics;
  metrics.forward({.rows = 100, .requests = 3, .layers = 2, .complete = false, .seconds = 0.1});
  metrics.forward({.rows = 100, .requests = 3, .layers = 2, .complete = true, .seconds = 0.1});
  GenerateResult result;
  result.ids = {1, 2, 3};
  result.finish_reason = FinishReason::kStop;
  metrics.result(result);
  metrics.refused(429);
  metrics.http(200, 0.01);
  metrics.http(429, 0.01);
  metrics.http(200, 0.01);
  const std::string text = metrics.text({.waiting = 4, .live = 2, .kv_bytes = 1000});
  EXPECT_THAT(text, HasSubstr("\nfastdllm_requests_waiting 4\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_requests_live 2\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_kv_bytes 1000\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_forwards_total 1\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_useful_tokens_total 3\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_forward_rows_bucket{le=\"64\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_forward_rows_bucket{le=\"128\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_finished_total{reason=\"stop\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_refused_total{status=\"429\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nfastdllm_http_responses_total{status=\"200\"} 2\n"));
}

}  // namespace
}  // namespace fdllm::server
