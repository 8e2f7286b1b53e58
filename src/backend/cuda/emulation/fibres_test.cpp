// The emulation itself: what it lets kernels do, and what it catches.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "backend/cuda/launch.h"
#include "backend/cuda/portable.h"

namespace fdllm::cuda {
namespace {

template <typename Arguments>
void run(const LaunchShape& shape, void (*kernel)(Arguments), const Arguments& arguments) {
  KernelCall<Arguments>{shape, kernel, arguments}.start(nullptr);
}

struct Task {
  std::int32_t* out;
  const std::int32_t* in;
};

void reverse_through_shared_memory(Task task) {
  FDLLM_SHARED_MEMORY(shared);
  auto* const values = reinterpret_cast<std::int32_t*>(shared);
  const unsigned at = blockIdx.x * blockDim.x;
  values[threadIdx.x] = task.in[at + threadIdx.x];
  sync_block();
  task.out[at + threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

TEST(Emulation, BlocksShareMemoryAndWait) {
  std::vector<std::int32_t> in(512), out(512);
  for (std::int32_t i = 0; i < 512; ++i) in[i] = i;
  run({.x = 4, .threads = 128, .shared_bytes = 512}, reverse_through_shared_memory,
      Task{out.data(), in.data()});
  for (std::int32_t i = 0; i < 512; ++i) EXPECT_EQ(out[i], i / 128 * 128 + 127 - i % 128);
}

void add_over_warps(Task task) {
  task.out[threadIdx.x] = warp_sum(task.in[threadIdx.x]);
}

TEST(Emulation, ShufflesStayInTheirWarp) {
  std::vector<std::int32_t> in(64), out(64);
  for (std::int32_t i = 0; i < 64; ++i) in[i] = i;
  run({.threads = 64}, add_over_warps, Task{out.data(), in.data()});
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], i < 32 ? 496 : 1520);
}

// Copies arrive when they are waited for, not before.
void read_before_and_after(Task task) {
  FDLLM_SHARED_MEMORY(shared);
  auto* const values = reinterpret_cast<std::int32_t*>(shared) + 4 * threadIdx.x;
  copy_async_16(values, task.in, true);
  commit_copies();
  copy_async_16(values, task.in, false);
  commit_copies();
  task.out[3 * threadIdx.x] = values[1];
  wait_copies<1>();
  task.out[3 * threadIdx.x + 1] = values[1];
  wait_copies<0>();
  task.out[3 * threadIdx.x + 2] = values[1];
}

TEST(Emulation, CopiesAreAsLateAsTheyMayBe) {
  const std::vector<std::int32_t> in = {5, 6, 7, 8};
  std::vector<std::int32_t> out(96);
  run({.threads = 32, .shared_bytes = 512}, read_before_and_after, Task{out.data(), in.data()});
  EXPECT_EQ(std::vector<std::int32_t>(out.begin(), out.begin() + 3),
            (std::vector<std::int32_t>{-1, 6, 0}));
}

void some_threads_sync(Task task) {
  if (threadIdx.x < 40) sync_block();
  task.out[threadIdx.x] = 1;
}
void lanes_disagree(Task task) {
  task.out[threadIdx.x] = threadIdx.x % 2 == 0 ? shuffle_xor(1, 1) : shuffle_xor(2.0f, 1) > 0;
}

TEST(Emulation, CatchesWhatHangsAGpu) {
  std::vector<std::int32_t> out(128);
  const Task task{out.data(), nullptr};
  EXPECT_THROW(run({.threads = 64}, some_threads_sync, task), Error);
  EXPECT_THROW(run({.threads = 64}, lanes_disagree, task), Error);
  EXPECT_THROW(run({.threads = 33}, add_over_warps, task), Error);
  EXPECT_THROW(run({.threads = 64, .shared_bytes = 200000}, add_over_warps, task), Error);
  // And goes on to work.
  std::vector<std::int32_t> in(64, 1);
  run({.threads = 64}, add_over_warps, Task{out.data(), in.data()});
  EXPECT_EQ(out[63], 32);
}

/// Every lane's fragments of a [16, 32] and b [32, 8] of int8 by PTX's description of m16n8k32.
struct Product {
  const std::int8_t* a;
  const std::int8_t* b;  ///< [8, 32]
  std::int32_t* d;
};
void multiply_once(Product task) {
  const unsigned group = threadIdx.x / 4;
  const unsigned quad = threadIdx.x % 4;
  const auto word = [](const std::int8_t* from) {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  };
  const std::uint32_t a[4] = {
      word(task.a + group * 32 + quad * 4), word(task.a + (group + 8) * 32 + quad * 4),
      word(task.a + group * 32 + quad * 4 + 16), word(task.a + (group + 8) * 32 + quad * 4 + 16)};
  const std::uint32_t b[2] = {word(task.b + group * 32 + quad * 4),
                              word(task.b + group * 32 + quad * 4 + 16)};
  std::int32_t d[4] = {1, 1, 1, 1};
  multiply_int8(d, a, b);
  for (unsigned i = 0; i < 4; ++i) {
    task.d[(group + i / 2 * 8) * 8 + quad * 2 + i % 2] = d[i];
  }
}

TEST(Emulation, MultipliesFragments) {
  std::vector<std::int8_t> a(512), b(256);
  for (int i = 0; i < 512; ++i) a[i] = static_cast<std::int8_t>(i * 37 % 251 - 125);
  for (int i = 0; i < 256; ++i) b[i] = static_cast<std::int8_t>(i * 53 % 241 - 120);
  std::vector<std::int32_t> d(128);
  run({.threads = 32}, multiply_once, Product{a.data(), b.data(), d.data()});
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      std::int32_t sum = 1;
      for (int k = 0; k < 32; ++k) sum += a[row * 32 + k] * b[column * 32 + k];
      EXPECT_EQ(d[row * 8 + column], sum) << row << " " << column;
    }
  }
}

}  // namespace
}  // namespace fdllm::cuda
