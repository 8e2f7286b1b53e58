// Starting a kernel, on a GPU or in the emulation. Included by the kernel files only.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cuda/portable.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

struct LaunchShape {
  std::int64_t x = 1, y = 1, z = 1;  ///< blocks
  unsigned threads = 128;
  std::size_t shared_bytes = 0;
};

template <typename Arguments>
void launch(Stream stream, const LaunchShape& shape, void (*kernel)(Arguments),
            const Arguments& arguments) {
  if (shape.x == 0 || shape.y == 0 || shape.z == 0) return;
#if defined(__CUDACC__)
  if (shape.shared_bytes > std::size_t{48} * 1024) {
    check_call(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shape.shared_bytes)),
               "shared memory");
  }
  const dim3 grid(static_cast<unsigned>(shape.x), static_cast<unsigned>(shape.y),
                  static_cast<unsigned>(shape.z));
  kernel<<<grid, shape.threads, shape.shared_bytes, static_cast<cudaStream_t>(stream)>>>(arguments);
  check_call(cudaGetLastError(), "a kernel's start");
#else
  struct Call {
    void (*kernel)(Arguments);
    const Arguments* arguments;
  };
  Call call{kernel, &arguments};
  static_cast<void>(stream);
  emulation::Block::current().run(
      {static_cast<unsigned>(shape.x), static_cast<unsigned>(shape.y),
       static_cast<unsigned>(shape.z)},
      shape.threads, shape.shared_bytes,
      [](void* context) {
        const auto& to = *static_cast<const Call*>(context);
        to.kernel(*to.arguments);
      },
      &call);
#endif
}

}  // namespace fdllm::cuda
