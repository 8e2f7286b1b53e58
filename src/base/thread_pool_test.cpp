#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/cpu_features.h"

namespace fdllm {
namespace {

TEST(ThreadPool, RunsEveryItemOnce) {
  ThreadPool pool(4);
  ASSERT_EQ(pool.size(), 4);
  for (const std::int64_t items : {0, 1, 3, 4, 5, 1000}) {
    std::vector<std::atomic<int>> counts(static_cast<std::size_t>(items));
    pool.run(4, items, [&](std::int64_t item, int part) noexcept {
      if (part >= 0 && part < 4) ++counts[item];
    });
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, UsesNoMorePartsThanAsked) {
  ThreadPool pool(4);
  for (int parts = -1; parts <= 6; ++parts) {
    std::atomic<int> largest{0};
    for (int round = 0; round < 50; ++round) {
      pool.run(parts, 64, [&](std::int64_t, int part) noexcept {
        int seen = largest;
        while (part > seen && !largest.compare_exchange_weak(seen, part)) {
        }
      });
    }
    EXPECT_LT(largest, std::max(1, std::min(parts, 4)));
  }
}

TEST(ThreadPool, OnePartRunsOnTheCaller) {
  ThreadPool pool(3);
  const auto caller = std::this_thread::get_id();
  bool same = true;
  pool.run(1, 10, [&](std::int64_t, int part) noexcept {
    same = same && part == 0 && std::this_thread::get_id() == caller;
  });
  EXPECT_TRUE(same);
}

TEST(ThreadPool, PhasesDoNotOverlap) {
  // Plain memory: a data race here is what ThreadSanitizer would report.
  ThreadPool pool(4);
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t items = round % 37 + 1;
    std::vector<std::int64_t> first(static_cast<std::size_t>(items));
    std::vector<std::int64_t> second(static_cast<std::size_t>(items));
    std::int64_t total = 0;
    const auto fill = [&](std::int64_t item, int) noexcept { first[item] = item + round; };
    const auto reverse = [&](std::int64_t item, int) noexcept {
      second[item] = first[items - 1 - item];
    };
    const auto sum = [&](std::int64_t, int) noexcept {
      total = std::accumulate(second.begin(), second.end(), std::int64_t{0});
    };
    pool.run(round % 4 + 1, {Phase(items, fill), Phase(items, reverse), Phase(1, sum)});
    ASSERT_EQ(total, items * (items - 1) / 2 + items * round);
  }
}

TEST(ThreadPool, EmptyPhasesAreSkipped) {
  ThreadPool pool(3);
  int last = 0;
  const auto never = [](std::int64_t, int) noexcept { FAIL(); };
  const auto once = [&](std::int64_t, int) noexcept { ++last; };
  for (int round = 0; round < 100; ++round) {
    pool.run(3, {Phase(0, never), Phase(1, once), Phase(0, never)});
  }
  EXPECT_EQ(last, 100);
}

TEST(ThreadPool, WakesWorkersThatWentToSleep) {
  ThreadPool pool(4);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> count{0};
    pool.run(4, 8, [&](std::int64_t, int) noexcept {
      ++count;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    });
    EXPECT_EQ(count, 8);
  }
}

TEST(ThreadPool, ManyMoreThreadsThanCoresMakeProgress) {
  ThreadPool pool(32);
  std::atomic<std::int64_t> sum{0};
  const auto add = [&](std::int64_t item, int) noexcept { sum += item; };
  for (int round = 0; round < 500; ++round) {
    pool.run(32, {Phase(40, add), Phase(40, add)});
  }
  EXPECT_EQ(sum, 500 * 2 * (40 * 39 / 2));
}

TEST(ThreadPool, IdlePoolUsesNoCpuTime) {
  ThreadPool pool(4);
  pool.run(4, 100, [](std::int64_t, int) noexcept {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();  // CPU time of the whole process
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.05);
}

TEST(ThreadPool, PoolsComeAndGo) {
  for (int round = 0; round < 200; ++round) {
    ThreadPool pool(round % 4 + 1);
    std::atomic<int> count{0};
    if (round % 2 == 0) pool.run(4, 7, [&](std::int64_t, int) noexcept { ++count; });
    EXPECT_EQ(count, round % 2 == 0 ? 7 : 0);
  }
}

TEST(CpuFeatures, LevelsIncludeEachOther) {
  const CpuFeatures features = detect_cpu_features();
  EXPECT_TRUE(!features.avx512bf16 || features.avx512vnni);
  EXPECT_TRUE(!features.avx512vnni || features.avx2);
#if defined(__AVX2__)
  EXPECT_TRUE(features.avx2);
#endif
}

TEST(CpuFeatures, CountsCores) {
  EXPECT_GE(physical_cores(), 1);
  EXPECT_LE(physical_cores(), std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace fdllm
