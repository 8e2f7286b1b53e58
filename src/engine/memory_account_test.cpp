#include "engine/memory_account.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace fdllm {
namespace {

/// A machine of so many free bytes, on which memory is taken when it is first written.
struct Machine {
  std::uint64_t free = 1000;
  int measured = 0;

  MemoryAccount account(bool lazy = true) {
    return MemoryAccount({.limit = {},
                          .measure = [this]() -> std::optional<std::uint64_t> {
                            ++measured;
                            return free;
                          },
                          .lazy = lazy});
  }
};

int admit_as_many_as_fit(MemoryAccount& account, const MemoryNeed& need) {
  int admitted = 0;
  for (; admitted < 64 && account.fits(need); ++admitted) account.reserve(need.kv);
  return admitted;
}

TEST(MemoryAccount, WhatIsReservedCountsThoughNoPageWasTouched) {
  Machine machine;  // whose figure does not fall
  MemoryAccount account = machine.account();
  EXPECT_EQ(admit_as_many_as_fit(account, {.kv = 100, .buffers = 50}), 9);
  EXPECT_EQ(machine.measured, 1) << "the system is asked for every request";
  account.release(100, false);
  EXPECT_TRUE(account.fits({100, 50}));
  EXPECT_FALSE(account.fits({100, 151}));
}

TEST(MemoryAccount, TouchedPagesAreCountedOnce) {
  Machine machine;
  MemoryAccount account = machine.account();
  account.reserve(300);
  account.set_buffers(100);
  account.touched(300);
  EXPECT_EQ(account.room(), 700u);
  EXPECT_TRUE(account.fits({600, 50}));
  EXPECT_FALSE(account.fits({601, 50})) << "the buffers that exist count";
  account.release(300, true);
  EXPECT_EQ(account.room(), 1000u);
  account.set_buffers(0);
  EXPECT_EQ(account.room(), 1000u);
}

TEST(MemoryAccount, ADeviceThatTakesMemoryAtOnce) {
  Machine machine;
  MemoryAccount account = machine.account(false);
  EXPECT_EQ(admit_as_many_as_fit(account, {.kv = 100, .buffers = 50}), 9);
  account.touched(100);
  account.release(100, true);
  EXPECT_EQ(account.room(), 200u);
}

TEST(MemoryAccount, NothingLeftIsNotUnknown) {
  Machine machine;
  machine.free = 0;
  MemoryAccount account = machine.account();
  EXPECT_FALSE(account.fits({1, 0}));
  EXPECT_FALSE(account.fits_alone({1, 0}));

  MemoryAccount unknown({.limit = {}, .measure = [] { return std::nullopt; }, .lazy = true});
  EXPECT_EQ(unknown.budget(), std::nullopt);
  EXPECT_TRUE(unknown.fits({std::uint64_t{1} << 50, 0}));
  EXPECT_TRUE(unknown.fits_alone({std::uint64_t{1} << 50, 0}));
}

TEST(MemoryAccount, ALimitIsKeptWhateverTheMachineHas) {
  Machine machine;
  MemoryAccount account({.limit = 500, .measure = [&] { return std::optional(machine.free); }});
  EXPECT_EQ(account.budget(), 500u);
  EXPECT_TRUE(account.fits_alone({400, 100}));
  EXPECT_FALSE(account.fits_alone({400, 101}));
  EXPECT_EQ(admit_as_many_as_fit(account, {.kv = 100, .buffers = 50}), 4);
  MemoryAccount nothing({.limit = 0, .measure = {}});
  EXPECT_FALSE(nothing.fits({1, 0}));
}

TEST(MemoryAccount, MemoryThatOthersTookIsNotPromised) {
  Machine machine;
  MemoryAccount account = machine.account();
  machine.free = 100;
  EXPECT_TRUE(account.fits_alone({800, 0})) << "it may become free again";
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_FALSE(account.fits({800, 0}));
  EXPECT_TRUE(account.fits({100, 0}));
}

TEST(MemoryAccount, MemoryThatOthersGaveBackIsUsed) {
  Machine machine;
  MemoryAccount account = machine.account();
  machine.free = 5000;
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_TRUE(account.fits_alone({3000, 0}));
  EXPECT_TRUE(account.fits({3000, 0}));
  EXPECT_EQ(account.budget(), 5000u);
}

}  // namespace
}  // namespace fdllm
