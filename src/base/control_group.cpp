#include "base/control_group.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace fdllm {
namespace {

/// Version 1 writes "no limit" as the largest multiple of a page.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

/// Where a controller's groups are: a mount, and the process's own group below it.
struct Hierarchy {
  std::string mount;  ///< with the root before it
  std::string group;  ///< "" or "/a/b"
  bool unified;       ///< version 2
};

/// A mount of /proc/self/mountinfo that holds control groups.
struct Mount {
  std::string root;  ///< the group that is seen at `point`
  std::string point;
  bool unified;
};

bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

/// mountinfo writes blanks and backslashes as three octal digits.
std::string unescaped(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

/// The mounts on which `controller` may be found.
std::vector<Mount> mounts_of(const std::string& root, std::string_view controller) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash));
    std::istringstream after(line.substr(dash + 3));
    std::string id, parent, device, group, point, type, source, options;
    before >> id >> parent >> device >> group >> point;
    after >> type >> source >> options;
    const bool unified = type == "cgroup2";
    if (unified || (type == "cgroup" && lists(options, controller))) {
      mounts.push_back({unescaped(group), unescaped(point), unified});
    }
  }
  if (mounts.empty()) {  // no /proc/self/mountinfo: where the mounts usually are
    mounts.push_back({"/", "/sys/fs/cgroup", true});
    mounts.push_back({"/", "/sys/fs/cgroup/" + std::string(controller), false});
  }
  return mounts;
}

/// The process's group as /proc/self/cgroup names it, of version 2 or of a controller of version 1.
std::optional<std::string> own_group(const std::string& root, std::string_view controller,
                                     bool unified) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : lists(controllers, controller)) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

/// The group's path below a mount. In a container the mount may show only the container's own part
/// of the tree, or the name may be one that is not seen there: then what is at its top counts.
std::string below(const Mount& mount, const std::string& group) {
  const std::string top = mount.root == "/" ? "" : mount.root;
  const bool inside = group.starts_with(top + "/") || group == top;
  if (!inside || group.find("/..") != std::string::npos) return "";
  std::string path = group.substr(top.size());
  return path == "/" ? "" : path;
}

std::vector<Hierarchy> hierarchies_of(const std::string& root, std::string_view controller) {
  std::vector<Hierarchy> hierarchies;
  for (const Mount& mount : mounts_of(root, controller)) {
    const std::string group = own_group(root, controller, mount.unified).value_or("");
    hierarchies.push_back({root + mount.point, below(mount, group), mount.unified});
  }
  return hierarchies;
}

/// Calls visit(folder, unified) for the process's own groups and all above them.
template <typename Visit>
void for_each_group(const std::string& root, std::string_view controller, Visit&& visit) {
  for (const Hierarchy& hierarchy : hierarchies_of(root, controller)) {
    std::string group = hierarchy.group;
    for (;;) {
      visit(hierarchy.mount + group + "/", hierarchy.unified);
      if (group.empty()) break;
      group.resize(group.rfind('/'));
    }
  }
}

/// The number in a file's first line; nullopt for "max", or where there is no such file.
std::optional<std::uint64_t> number_in(const std::string& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (!(in >> value) || value >= kNoLimit) return std::nullopt;
  return value;
}

/// The value of a key of a file of lines "key value".
std::uint64_t value_of(const std::string& file, std::string_view wanted) {
  std::ifstream in(file);
  std::string key;
  std::uint64_t value = 0;
  while (in >> key >> value) {
    if (key == wanted) return value;
  }
  return 0;
}

std::optional<std::uint64_t> memory_left_in(const std::string& folder, bool unified) {
  std::optional<std::uint64_t> limit =
      number_in(folder + (unified ? "memory.max" : "memory.limit_in_bytes"));
  if (unified) {
    // Beyond it a group is slowed down and its pages are reclaimed: none to plan with.
    const std::optional<std::uint64_t> high = number_in(folder + "memory.high");
    if (high) limit = std::min(limit.value_or(*high), *high);
  }
  if (!limit) return std::nullopt;
  const std::uint64_t used =
      number_in(folder + (unified ? "memory.current" : "memory.usage_in_bytes")).value_or(0);
  const std::string statistics = folder + "memory.stat";
  const std::string prefix = unified ? "" : "total_";
  const std::uint64_t reclaimable = value_of(statistics, prefix + "inactive_file") +
                                    value_of(statistics, prefix + "active_file") / 2;
  const std::uint64_t needed = used - std::min(used, reclaimable);
  return *limit - std::min(*limit, needed);
}

std::optional<double> cpus_in(const std::string& folder, bool unified) {
  double quota = 0;
  double period = 0;
  if (unified) {
    std::ifstream file(folder + "cpu.max");
    if (!(file >> quota >> period)) return std::nullopt;
  } else {
    std::ifstream quota_file(folder + "cpu.cfs_quota_us");
    std::ifstream period_file(folder + "cpu.cfs_period_us");
    if (!(quota_file >> quota) || !(period_file >> period)) return std::nullopt;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

template <typename T>
void lower_to(std::optional<T>& least, const std::optional<T>& other) {
  if (other) least = std::min(least.value_or(*other), *other);
}

}  // namespace

std::optional<std::uint64_t> control_group_memory_left(const std::string& root) {
  std::optional<std::uint64_t> least;
  for_each_group(root, "memory", [&](const std::string& folder, bool unified) {
    lower_to(least, memory_left_in(folder, unified));
  });
  return least;
}

std::optional<double> control_group_cpus(const std::string& root) {
  std::optional<double> least;
  for_each_group(root, "cpu", [&](const std::string& folder, bool unified) {
    lower_to(least, cpus_in(folder, unified));
  });
  return least;
}

}  // namespace fdllm
