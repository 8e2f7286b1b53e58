// Launches that wait, lists that go up with them, and graphs of launches, on the emulated device.
#include "backend/cuda/launch_queue.h"

#include <numeric>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "backend/cuda/kernels.h"
#include "backend/cuda/runtime.h"
#include "backend/cuda/staging.h"

namespace fdllm::cuda {
namespace {

constexpr std::int64_t kColumns = 3;
constexpr std::int64_t kMostRows = 64;

/// A table of rows and a result that gathers of them go to.
class LaunchQueueTest : public testing::TestWithParam<LaunchMode> {
 protected:
  LaunchQueueTest() {
    std::iota(table_.begin(), table_.end(), 1.0f);
    runtime_.copy_to_device(x_.data(), table_.data(), table_.size() * sizeof(float));
  }

  void gather(const std::vector<std::int32_t>& rows, float* out) {
    run_gather(&queue_, {.x = x_.as<float>(),
                         .index = queue_.list<std::int32_t>(ListUse::kGatheredRows, rows),
                         .rows = queue_.rows(std::ssize(rows)),
                         .columns = kColumns,
                         .out = out});
  }
  void gather(const std::vector<std::int32_t>& rows) { gather(rows, out_.as<float>()); }

  /// The result's rows, as rows of the table; -1: untouched.
  std::vector<std::int32_t> found() {
    std::vector<float> values(kMostRows * kColumns);
    runtime_.copy_to_host(values.data(), out_.data(), values.size() * sizeof(float));
    runtime_.synchronize();
    std::vector<std::int32_t> rows;
    for (std::int64_t i = 0; i < kMostRows; ++i) {
      const float first = values[i * kColumns];
      for (std::int64_t j = 1; j < kColumns; ++j) {
        EXPECT_EQ(values[i * kColumns + j], first == 0 ? 0 : first + static_cast<float>(j));
      }
      rows.push_back(first == 0 ? -1 : static_cast<std::int32_t>(first) / kColumns);
    }
    return rows;
  }
  static std::vector<std::int32_t> padded(std::vector<std::int32_t> rows) {
    rows.resize(kMostRows, -1);
    return rows;
  }
  void clear() {
    const std::vector<float> zeros(kMostRows * kColumns);
    runtime_.copy_to_device(out_.data(), zeros.data(), zeros.size() * sizeof(float));
    runtime_.synchronize();
  }

  std::vector<float> table_ = std::vector<float>(kMostRows * kColumns);
  Runtime runtime_;
  LaunchQueue queue_{runtime_, GetParam()};
  DeviceMemory x_{runtime_, kMostRows* kColumns * sizeof(float), "test"};
  DeviceMemory out_{runtime_, kMostRows* kColumns * sizeof(float), "test"};
};

INSTANTIATE_TEST_SUITE_P(Modes, LaunchQueueTest,
                         testing::Values(LaunchMode::kGraphs, LaunchMode::kDirect),
                         [](const auto& parameter) {
                           return parameter.param == LaunchMode::kGraphs ? "Graphs" : "Direct";
                         });

/// What only a queue that makes graphs does.
class LaunchGraphsTest : public LaunchQueueTest {};
INSTANTIATE_TEST_SUITE_P(Modes, LaunchGraphsTest, testing::Values(LaunchMode::kGraphs),
                         [](const auto&) { return "Graphs"; });

TEST_P(LaunchQueueTest, TheSameLaunchesAgainReadTheirListsAnew) {
  const std::vector<std::vector<std::int32_t>> steps = {
      {5}, {7, 1, 3}, {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}, {9, 9}};
  for (const auto& rows : steps) {  // 1 to 16 rows: one size of launch
    clear();
    gather(rows);
    EXPECT_EQ(found(), padded(rows));
  }
  const LaunchCounts& counts = queue_.counts();
  if (GetParam() == LaunchMode::kDirect) {
    EXPECT_EQ(counts.direct, 4);
    EXPECT_EQ(counts.captured + counts.replayed, 0);
  } else {
    EXPECT_EQ(counts.direct, 1);
    EXPECT_EQ(counts.captured, 1);
    EXPECT_EQ(counts.replayed, 2);
  }
}

TEST_P(LaunchQueueTest, OtherSizesAndArgumentsAreOtherGraphs) {
  std::vector<std::int32_t> many(33);
  std::iota(many.begin(), many.end(), 20);
  for (int round = 0; round < 3; ++round) {
    clear();
    gather({4, 3});
    EXPECT_EQ(found(), padded({4, 3}));
    clear();
    gather(many);
    EXPECT_EQ(found(), padded(many));
    clear();
    gather({6}, out_.as<float>() + 2 * kColumns);
    EXPECT_EQ(found(), padded({-1, -1, 6}));
    clear();
    gather({1, 2});
    gather({8}, out_.as<float>() + kColumns);
    EXPECT_EQ(found(), padded({1, 8}));
  }
  if (GetParam() == LaunchMode::kGraphs) {
    EXPECT_EQ(queue_.counts().direct, 4);
    EXPECT_EQ(queue_.counts().captured, 4);
    EXPECT_EQ(queue_.counts().replayed, 4);
  }
}

TEST_P(LaunchQueueTest, ListsOfOneFlushStayApart) {
  for (int round = 0; round < 3; ++round) {
    clear();
    for (std::int32_t i = 0; i < 20; ++i) {
      gather({static_cast<std::int32_t>(i + round), 63 - i}, out_.as<float>() + 2 * i * kColumns);
    }
    const std::vector<std::int32_t> rows = found();
    for (std::int32_t i = 0; i < 20; ++i) {
      EXPECT_EQ(rows[2 * i], i + round);
      EXPECT_EQ(rows[2 * i + 1], 63 - i);
    }
  }
}

TEST_P(LaunchQueueTest, LongListsGetMoreMemoryWhileOthersStay) {
  std::vector<std::int32_t> longest(1 << 20, 7);
  for (int round = 0; round < 3; ++round) {
    clear();
    const auto* few = queue_.list<std::int32_t>(ListUse::kGatheredRows, {{1, 2}});
    const auto* many = queue_.list<std::int32_t>(ListUse::kTokens, longest);
    EXPECT_EQ(queue_.list<std::int32_t>(ListUse::kGatheredRows, {{1, 2}}), few);
    const Rows two = queue_.rows(2);
    run_gather(&queue_, {x_.as<float>(), few, two, kColumns, out_.as<float>()});
    run_gather(&queue_,
               {x_.as<float>(), queue_.list<std::int32_t>(ListUse::kTokens, longest) + 999999,
                queue_.rows(2), kColumns, out_.as<float>() + 2 * kColumns});
    EXPECT_NE(few, many);
    EXPECT_EQ(found(), padded({1, 2, 7, 7}));
    longest.assign(longest.size() + 5, 7);
  }
}

TEST_P(LaunchQueueTest, WhatIsFreedWaitsForItsReaders) {
  std::optional<DeviceMemory> copy(std::in_place, runtime_, kColumns * sizeof(float), "test");
  gather({11}, copy->as<float>());
  run_gather(&queue_, {copy->as<float>(), queue_.list<std::int32_t>(ListUse::kTokens, {{0}}),
                       queue_.rows(1), kColumns, out_.as<float>()});
  copy.reset();
  EXPECT_EQ(found(), padded({11}));
}

TEST_P(LaunchGraphsTest, ForgetsWhatWasNotUsedForLongest) {
  LaunchQueue queue(runtime_, LaunchMode::kGraphs, 3);
  const auto start = [&](std::int64_t place) {
    run_gather(&queue, {.x = x_.as<float>(),
                        .index = queue.list<std::int32_t>(ListUse::kGatheredRows, {{1}}),
                        .rows = queue.rows(1),
                        .columns = kColumns,
                        .out = out_.as<float>() + place * kColumns});
    queue.flush();
  };
  const auto expect_counts = [&](std::int64_t direct, std::int64_t captured,
                                 std::int64_t replayed) {
    EXPECT_EQ(queue.counts().direct, direct);
    EXPECT_EQ(queue.counts().captured, captured);
    EXPECT_EQ(queue.counts().replayed, replayed);
  };
  for (int round = 0; round < 3; ++round) {
    for (const std::int64_t place : {0, 1, 2}) start(place);
  }
  expect_counts(3, 3, 3);
  start(0);
  start(3);  // in place of 1
  expect_counts(4, 3, 4);
  start(0);
  start(2);
  expect_counts(4, 3, 6);
  start(1);  // in place of 3
  start(3);
  expect_counts(6, 3, 6);
}

TEST_P(LaunchQueueTest, NoRowsAreNoLaunch) {
  gather({});
  EXPECT_EQ(found(), padded({}));
  EXPECT_EQ(queue_.counts().direct, 0);
}

TEST_P(LaunchGraphsTest, AFlushBetweenAListAndItsLaunchIsAnError) {
  gather({1});
  static_cast<void>(queue_.list<std::int32_t>(ListUse::kTokens, {{3}}));
  EXPECT_THROW(runtime_.synchronize(), Error);
  gather({2});  // and no more than an error
  EXPECT_EQ(found(), padded({2}));
}

TEST(Buckets, RoundUpByAtMostHalfBeyondSixteen) {
  EXPECT_EQ(bucket_of(0), 0);
  std::int64_t last = 0;
  for (std::int64_t count = 1; count < 5000; ++count) {
    const std::int64_t bucket = bucket_of(count);
    EXPECT_GE(bucket, count);
    EXPECT_GE(bucket, last);
    EXPECT_EQ(bucket % 16, 0);
    EXPECT_EQ(bucket_of(bucket), bucket);
    EXPECT_LT(bucket, count <= 16 ? 17 : 2 * count);
    EXPECT_LT(2 * bucket, count <= 32 ? 65 : 3 * count + 2);
    last = bucket;
  }
}

}  // namespace
}  // namespace fdllm::cuda
