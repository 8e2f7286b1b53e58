#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/peak.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_backend.h"
#include "backend/peak.h"
#include "backend/tensor_parallel/tensor_parallel_backend.h"
#include "base/check.h"

namespace fdllm {
namespace {

struct Entry {
  std::string_view device;
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
  MachinePeaks (*measure_peaks)(const BackendOptions& options);
  bool is_numbered = true;  ///< there may be several
};

constexpr std::array kBackends = {
    Entry{"cpu", make_cpu_backend, measure_cpu_peaks, false},
    Entry{"cuda", make_cuda_backend, measure_cuda_peaks},
#if defined(FDLLM_CUDA_EMULATION)  // in tests only: the GPU's kernels on the host
    Entry{"cuda-emulated", cuda::make_device_backend, measure_cuda_peaks},
    Entry{"cpu-numbered", make_cpu_backend, measure_cpu_peaks},
#endif
};

/// "cuda:0,1", read.
struct Devices {
  const Entry* entry = nullptr;
  std::vector<int> ordinals;  ///< none where the name has no numbers
};

std::vector<int> read_ordinals(std::string_view list, const std::string& device) {
  std::vector<int> ordinals;
  const char* at = list.data();
  const char* const end = list.data() + list.size();
  while (true) {
    int ordinal = 0;
    const auto [after, error] = std::from_chars(at, end, ordinal);
    if (error != std::errc() || ordinal < 0 || (after != end && *after != ',')) {
      fail(ErrorCode::kInvalidArgument,
           "device: expected numbers with commas between them, such as 'cuda:0,1', found '{}'",
           device);
    }
    if (std::ranges::find(ordinals, ordinal) != ordinals.end()) {
      fail(ErrorCode::kInvalidArgument, "device: '{}' names device {} twice", device, ordinal);
    }
    ordinals.push_back(ordinal);
    if (after == end) return ordinals;
    at = after + 1;
  }
}

Devices read_devices(const std::string& device) {
  const std::size_t colon = device.find(':');
  const std::string_view name = std::string_view(device).substr(0, colon);
  std::string known;
  for (const Entry& entry : kBackends) {
    known += (known.empty() ? "" : ", ") + std::string(entry.device);
    if (entry.device != name) continue;
    if (colon == std::string::npos) return {&entry, {}};
    if (!entry.is_numbered) {
      fail(ErrorCode::kInvalidArgument,
           "device: '{}' is one device without a number, found '{}'; --threads sets how many cores "
           "it takes",
           name, device);
    }
    return {&entry, read_ordinals(std::string_view(device).substr(colon + 1), device)};
  }
  fail(ErrorCode::kInvalidArgument, "device: expected one of {}, found '{}'", known, device);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options) {
  const Devices devices = read_devices(options.device);
  if (devices.ordinals.empty()) return devices.entry->make(options);
  std::vector<std::unique_ptr<Backend>> backends;
  for (const int ordinal : devices.ordinals) {
    BackendOptions one = options;
    one.device = fmt::format("{}:{}", devices.entry->device, ordinal);
    one.ordinal = ordinal;
    backends.push_back(devices.entry->make(one));
  }
  if (backends.size() == 1) return std::move(backends[0]);
  return make_tensor_parallel_backend(std::move(backends));
}

MachinePeaks measure_peaks(const BackendOptions& options) {
  return read_devices(options.device).entry->measure_peaks(options);
}

}  // namespace fdllm
