// Starting a kernel, on a GPU or in the emulation. Included by the kernel files only.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cuda/launch_queue.h"
#include "backend/cuda/portable.h"
#include "backend/cuda/runtime.h"

namespace fdllm::cuda {

struct LaunchShape {
  std::int64_t x = 1, y = 1, z = 1;  ///< blocks
  unsigned threads = 128;
  std::size_t shared_bytes = 0;

  bool operator==(const LaunchShape&) const = default;
};

/// A kernel's start as a Launch has it.
template <typename Arguments>
struct KernelCall {
  LaunchShape shape;
  void (*kernel)(Arguments);
  Arguments arguments;

  bool operator==(const KernelCall&) const = default;

  void start(void* native_stream) const {
#if defined(__CUDACC__)
    if (shape.shared_bytes > std::size_t{48} * 1024) {
      check_call(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(shape.shared_bytes)),
                 "shared memory");
    }
    const dim3 grid(static_cast<unsigned>(shape.x), static_cast<unsigned>(shape.y),
                    static_cast<unsigned>(shape.z));
    kernel<<<grid, shape.threads, shape.shared_bytes, static_cast<cudaStream_t>(native_stream)>>>(
        arguments);
    check_call(cudaGetLastError(), "a kernel's start");
#else
    static_cast<void>(native_stream);
    emulation::Block::current().run(
        {static_cast<unsigned>(shape.x), static_cast<unsigned>(shape.y),
         static_cast<unsigned>(shape.z)},
        shape.threads, shape.shared_bytes,
        [](void* context) {
          const auto& call = *static_cast<const KernelCall*>(context);
          call.kernel(call.arguments);
        },
        const_cast<KernelCall*>(this));
#endif
  }
};

template <typename Arguments>
void launch(Stream stream, const LaunchShape& shape, void (*kernel)(Arguments),
            const Arguments& arguments) {
  if (shape.x == 0 || shape.y == 0 || shape.z == 0) return stream->skip();
  stream->add(Launch(KernelCall<Arguments>{shape, kernel, arguments}));
}

}  // namespace fdllm::cuda
