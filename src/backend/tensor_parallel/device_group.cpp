#include "backend/tensor_parallel/device_group.h"

#include <utility>

namespace fdllm::tensor_parallel {

DeviceGroup::DeviceGroup(std::vector<std::unique_ptr<Backend>> devices)
    : devices_(std::move(devices)), threads_(static_cast<int>(devices_.size())) {}

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
