// What kernels are written in: CUDA C++ through names that also exist on the host, so that the same
// kernels compile with nvcc for a GPU and with the host's compiler for the emulation, where every
// thread of a block is a fibre (emulation/device.h). Kernels use nothing else of CUDA.
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

/// `FDLLM_KERNEL(threads) name(...)`: a kernel for blocks of at most so many threads.
#define FDLLM_KERNEL(threads) __global__ void __launch_bounds__(threads)
#define FDLLM_DEVICE __device__ __forceinline__
/// Before a loop that indexes registers.
#define FDLLM_UNROLL _Pragma("unroll")
/// `name` points to the block's shared memory, aligned to 16 bytes.
#define FDLLM_SHARED_MEMORY(name)          \
  extern __shared__ uint4 name##_vector[]; \
  std::byte* const name = reinterpret_cast<std::byte*>(name##_vector)

namespace fdllm::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

FDLLM_DEVICE void sync_block() {
  __syncthreads();
}
FDLLM_DEVICE void sync_warp() {
  __syncwarp();
}
/// The value of the lane whose number differs in the bits of `bits`; all lanes of a warp take part.
template <typename T>
FDLLM_DEVICE T shuffle_xor(T value, int bits) {
  return __shfl_xor_sync(kAllLanes, value, bits);
}
/// a b + c where it is fastest: rounded once on a GPU.
FDLLM_DEVICE float multiply_add(float a, float b, float c) {
  return fmaf(a, b, c);
}
struct Vector16 {
  std::uint32_t words[4];
};
FDLLM_DEVICE Vector16 load_16(const void* from) {
  const uint4 value = *static_cast<const uint4*>(from);
  return {{value.x, value.y, value.z, value.w}};
}
/// Two neighbours, aligned to 8 bytes.
struct Pair {
  float first, second;
};
FDLLM_DEVICE Pair load_pair(const float* from) {
  const float2 value = *reinterpret_cast<const float2*>(from);
  return {value.x, value.y};
}
FDLLM_DEVICE void store_pair(float* to, Pair pair) {
  *reinterpret_cast<float2*>(to) = make_float2(pair.first, pair.second);
}
/// Both rounded to bf16; `low` comes first in memory.
FDLLM_DEVICE std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

/// What this block's thread wrote before is seen by blocks that see what it writes after.
FDLLM_DEVICE void fence_device() {
  __threadfence();
}
/// Adds to a counter that blocks share; returns what it was.
FDLLM_DEVICE std::int32_t fetch_add(std::int32_t* counter, std::int32_t value) {
  return atomicAdd(counter, value);
}
/// What another block of the same kernel wrote, past this multiprocessor's own cache.
FDLLM_DEVICE float load_shared_by_blocks(const float* from) {
  return __ldcg(from);
}

/// Copies 16 bytes to shared memory in the background, or zeros where not `valid`.
FDLLM_DEVICE void copy_async_16(void* shared, const void* global, bool valid) {
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(global),
               "r"(valid ? 16 : 0));
}
/// Closes a group of the thread's copies.
FDLLM_DEVICE void commit_copies() {
  asm volatile("cp.async.commit_group;\n");
}
/// Waits until at most kPending of the thread's newest groups are under way.
template <int kPending>
FDLLM_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending));
}

/// Four 8 x 8 matrices of 16-bit values from shared memory: lane i names row i % 8 (16 bytes,
/// aligned) of matrix i / 8, and receives of each matrix values 2 (i % 4) and the next of row i
/// / 4.
FDLLM_DEVICE void load_matrices(std::uint32_t (&d)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row))));
}
/// The same, but lane i receives value i / 4 of rows 2 (i % 4) and the next.
FDLLM_DEVICE void load_matrices_transposed(std::uint32_t (&d)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row))));
}

/// d += a b for a [16, 16], b [16, 8] of bf16 and d [16, 8] of f32, in the fragments of PTX's
/// mma.m16n8k16.
FDLLM_DEVICE void multiply_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// The same for a [16, 32], b [32, 8] of int8 and d of int32 (mma.m16n8k32).
FDLLM_DEVICE void multiply_int8(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                                const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace fdllm::cuda

#else
#include "backend/cuda/emulation/device.h"
#endif

namespace fdllm::cuda {

inline constexpr int kWarp = 32;

FDLLM_DEVICE float warp_max(float value) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    const float other = shuffle_xor(value, bits);
    value = other > value ? other : value;
  }
  return value;
}
template <typename T>
FDLLM_DEVICE T warp_sum(T value) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) value += shuffle_xor(value, bits);
  return value;
}

/// True in every thread of the last of `blocks` blocks that come here with the same counter, which
/// was 0 and is then 0 again; what all of them wrote before may be read there with
/// load_shared_by_blocks(). All threads take part; `shared` is a word of shared memory.
FDLLM_DEVICE bool is_last_block(std::int32_t* counter, std::int32_t blocks, std::int32_t* shared) {
  fence_device();
  sync_block();
  if (threadIdx.x == 0) {
    *shared = fetch_add(counter, 1) + 1 == blocks ? 1 : 0;
    if (*shared != 0) *counter = 0;
  }
  sync_block();
  fence_device();
  return *shared != 0;
}

}  // namespace fdllm::cuda
