#include "backend/tensor_parallel/device_group.h"

#include "base/check.h"

namespace fdllm::tensor_parallel {

DeviceGroup::DeviceGroup(std::vector<std::unique_ptr<Backend>> devices)
    : threads_(static_cast<int>(devices.size())) {
  devices_.reserve(devices.size());
  for (std::unique_ptr<Backend>& device : devices) {
    auto* const peer = dynamic_cast<PeerBackend*>(device.get());
    if (peer == nullptr) {
      fail(ErrorCode::kUnsupported, "device: {} cannot be one of several", device->description());
    }
    devices_.emplace_back(peer);
    static_cast<void>(device.release());
  }
}

void DeviceGroup::barrier() {
  ++barriers_;
  for (const auto& device : devices_) device->mark();
  for (const auto& device : devices_) {
    for (const auto& other : devices_) {
      if (device != other) device->wait_for_mark(*other);
    }
  }
}

}  // namespace fdllm::tensor_parallel
