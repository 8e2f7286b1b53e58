#include "base/control_group.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/system_memory.h"

namespace fdllm {
namespace {

/// A folder that looks like the root of a Linux system, removed at the end.
class ControlGroup : public testing::Test {
 protected:
  ControlGroup() : root_(std::filesystem::path(testing::TempDir()) / unique_name()) {}
  ~ControlGroup() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_.string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void unified(const std::string& group) const {
    write("/proc/self/cgroup", "0::" + group + "\n");
    write("/proc/self/mountinfo",
          "22 1 0:20 / /proc rw - proc proc rw\n"
          "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void group(const std::string& path, const std::string& max, const std::string& current,
             const std::string& stat = "") const {
    write("/sys/fs/cgroup" + path + "/memory.max", max + "\n");
    write("/sys/fs/cgroup" + path + "/memory.current", current + "\n");
    write("/sys/fs/cgroup" + path + "/memory.stat", stat);
  }
  std::optional<std::uint64_t> left() const { return control_group_memory_left(root_.string()); }
  std::optional<double> cpus() const { return control_group_cpus(root_.string()); }

  std::filesystem::path root_;

 private:
  static std::string unique_name() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    return "control_group_" + std::to_string(getpid()) + "_" + test->name();
  }
};

TEST_F(ControlGroup, WithoutGroupsNothingIsLimited) {
  EXPECT_EQ(left(), std::nullopt);
  EXPECT_EQ(cpus(), std::nullopt);
  unified("/");
  EXPECT_EQ(left(), std::nullopt);
  group("", "max", "5000");
  EXPECT_EQ(left(), std::nullopt);
}

TEST_F(ControlGroup, InactivePageCacheIsFree) {
  unified("/");
  group("", "960", "950", "anon 50\nfile 900\ninactive_anon 7\nactive_file 0\ninactive_file 900\n");
  EXPECT_EQ(left(), 910u);
  group("", "960", "950", "inactive_file 100\nactive_file 800\n");
  EXPECT_EQ(left(), 510u);
}

TEST_F(ControlGroup, NothingLeftIsZeroAndNotUnknown) {
  unified("/");
  group("", "960", "960");
  EXPECT_EQ(left(), 0u);
  group("", "960", "1000");  // a limit that was lowered below what is used
  EXPECT_EQ(left(), 0u);
  group("", "0", "0");
  EXPECT_EQ(left(), 0u);
}

TEST_F(ControlGroup, TheTightestOfAllGroupsAboveCounts) {
  unified("/system.slice/fast-dllm.service");
  group("/system.slice/fast-dllm.service", "1000", "300");
  EXPECT_EQ(left(), 700u);
  group("/system.slice", "2000", "1700");
  EXPECT_EQ(left(), 300u);
  group("/user.slice", "10", "0");  // not ours
  EXPECT_EQ(left(), 300u);
  write("/sys/fs/cgroup/system.slice/fast-dllm.service/memory.high", "500\n");
  EXPECT_EQ(left(), 200u);
  write("/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
  EXPECT_EQ(cpus(), 3.0);
  write("/sys/fs/cgroup/system.slice/fast-dllm.service/cpu.max", "max 100000\n");
  EXPECT_EQ(cpus(), 3.0);
  write("/sys/fs/cgroup/system.slice/fast-dllm.service/cpu.max", "50000 100000\n");
  EXPECT_EQ(cpus(), 0.5);
}

TEST_F(ControlGroup, AContainerThatSeesOnlyItsOwnPartOfTheTree) {
  // Without a name space of its own: the name is the host's, the mount begins at it.
  write("/proc/self/cgroup", "0::/docker/ab12\n");
  write("/proc/self/mountinfo", "31 25 0:26 /docker/ab12 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  group("", "1000", "400");
  EXPECT_EQ(left(), 600u);
  // A group below the container's.
  write("/proc/self/cgroup", "0::/docker/ab12/init\n");
  group("/init", "700", "400");
  EXPECT_EQ(left(), 300u);
  // A name that leads out of what is seen.
  write("/proc/self/cgroup", "0::/../../other\n");
  EXPECT_EQ(left(), 600u);
}

TEST_F(ControlGroup, VersionOne) {
  write("/proc/self/cgroup",
        "7:cpu,cpuacct:/kubepods/pod1\n5:memory:/kubepods/pod1\n1:name=systemd:/\n0::/x\n");
  write("/proc/self/mountinfo",
        "40 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "42 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  const std::string own = "/sys/fs/cgroup/memory/kubepods/pod1/memory.";
  write(own + "limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(left(), std::nullopt);
  write(own + "limit_in_bytes", "1000\n");
  write(own + "usage_in_bytes", "900\n");
  write(own + "stat", "inactive_file 1\ntotal_inactive_file 500\ntotal_active_file 100\n");
  EXPECT_EQ(left(), 650u);
  write("/sys/fs/cgroup/memory/kubepods/memory.limit_in_bytes", "1000\n");
  write("/sys/fs/cgroup/memory/kubepods/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(left(), 0u);
  write("/sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpus(), std::nullopt);
  write("/sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(cpus(), 1.5);
}

TEST_F(ControlGroup, DamagedFilesLimitNothing) {
  unified("/a");
  group("/a", "plenty", "-");
  write("/sys/fs/cgroup/a/cpu.max", "x\n");
  EXPECT_EQ(left(), std::nullopt);
  EXPECT_EQ(cpus(), std::nullopt);
  write("/proc/self/cgroup", "\n:\n::\n0::");
  write("/proc/self/mountinfo", "\n - \n1 2 - cgroup2\n");
  EXPECT_EQ(left(), std::nullopt);
}

TEST_F(ControlGroup, TheMachineCountsToo) {
  EXPECT_EQ(available_memory(root_.string()), std::nullopt);
  write("/proc/meminfo", "MemTotal:  100 kB\nMemFree: 3 kB\nMemAvailable:   40 kB\n");
  EXPECT_EQ(available_memory(root_.string()), 40960u);
  unified("/");
  group("", "50000", "20000");
  EXPECT_EQ(available_memory(root_.string()), 30000u);
  group("", "50000", "50000");
  EXPECT_EQ(available_memory(root_.string()), 0u);
  write("/proc/meminfo", "MemTotal:  100 kB\n");
  EXPECT_EQ(available_memory(root_.string()), 0u);
}

TEST(SystemMemory, ThisMachineTells) {
  const std::optional<std::uint64_t> available = available_memory();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, 0u);
}

}  // namespace
}  // namespace fdllm
