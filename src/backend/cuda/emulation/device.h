// portable.h on the host: threads of a block are fibres, a warp's instructions wait for all of its
// lanes, and matrix products follow PTX's fragment layouts to the letter, so that a wrong index
// gives a wrong result here as it would on a GPU. Rounding inside a product may differ.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "backend/cuda/emulation/fibres.h"
#include "base/check.h"
#include "base/dtype.h"

#define FDLLM_KERNEL(threads) void
#define FDLLM_DEVICE inline
#define FDLLM_UNROLL
#define FDLLM_SHARED_MEMORY(name) \
  std::byte* const name = ::fdllm::cuda::emulation::Block::current().shared_memory()

namespace fdllm::cuda {

using emulation::blockDim;
using emulation::blockIdx;
using emulation::gridDim;
using emulation::threadIdx;

inline void sync_block() {
  emulation::Block::current().sync();
}
inline void sync_warp() {
  emulation::Block::current().collective([](void* const*) {}, nullptr);
}

template <typename T>
T shuffle_xor(T value, int bits) {
  struct Lane {
    T value, received;
    int bits;
  };
  Lane lane{value, value, bits};
  emulation::Block::current().collective(
      [](void* const* lanes) {
        for (int i = 0; i < 32; ++i) {
          auto& to = *static_cast<Lane*>(lanes[i]);
          to.received = static_cast<const Lane*>(lanes[i ^ to.bits])->value;
        }
      },
      &lane);
  return lane.received;
}

inline float multiply_add(float a, float b, float c) {
  return a * b + c;
}

struct Vector16 {
  std::uint32_t words[4];
};
inline Vector16 load_16(const void* from) {
  Vector16 value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

struct Pair {
  float first, second;
};
inline Pair load_pair(const float* from) {
  return {from[0], from[1]};
}
inline void store_pair(float* to, Pair pair) {
  to[0] = pair.first;
  to[1] = pair.second;
}
inline std::uint32_t pack_bf16(float low, float high) {
  return to_bf16(low).bits | static_cast<std::uint32_t>(to_bf16(high).bits) << 16;
}

// Blocks run one after another.
inline void fence_device() {}
inline std::int32_t fetch_add(std::int32_t* counter, std::int32_t value) {
  return std::exchange(*counter, *counter + value);
}
inline float load_shared_by_blocks(const float* from) {
  return *from;
}

inline void copy_async_16(void* shared, const void* global, bool valid) {
  emulation::Block::current().copy(shared, global, valid);
}
inline void commit_copies() {
  emulation::Block::current().commit_copies();
}
template <int kPending>
void wait_copies() {
  emulation::Block::current().wait_copies(kPending);
}

namespace emulation {

/// A lane's part of load_matrices().
struct MatrixRow {
  std::uint32_t (*d)[4];
  const std::byte* row;
};

template <bool kTransposed>
void load_matrix_rows(void* const* lanes) {
  const auto half_word = [&](int row, int index) {
    std::uint16_t value;
    std::memcpy(&value, static_cast<const MatrixRow*>(lanes[row])->row + 2 * index, sizeof(value));
    return std::uint32_t{value};
  };
  for (int i = 0; i < 32; ++i) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      const int first = 8 * matrix;
      const int pair = 2 * (i % 4);
      (*static_cast<const MatrixRow*>(lanes[i])->d)[matrix] =
          kTransposed ? half_word(first + pair, i / 4) | half_word(first + pair + 1, i / 4) << 16
                      : half_word(first + i / 4, pair) | half_word(first + i / 4, pair + 1) << 16;
    }
  }
}

template <bool kTransposed>
void load_matrices(std::uint32_t (&d)[4], const void* row) {
  check(reinterpret_cast<std::uintptr_t>(row) % 16 == 0, "a matrix row that is not aligned");
  MatrixRow lane{&d, static_cast<const std::byte*>(row)};
  Block::current().collective(load_matrix_rows<kTransposed>, &lane);
}

/// A lane's fragments of d [16, 8] += a [16, 4 words of K] b [4 words of K, 8].
template <typename Sum>
struct Fragments {
  Sum (*d)[4];
  const std::uint32_t (*a)[4];
  const std::uint32_t (*b)[2];
};

/// Value (row, k) of a lies in word k / kPerWord: words 0 to 3 of rows 0 to 7 in a[0] of lanes
/// 4 row + word, of rows 8 to 15 in a[1], words 4 to 7 likewise in a[2] and a[3]. b has its words
/// in b[0] and b[1] of lanes 4 column + word. d has columns 2 i and 2 i + 1 of row r in d[0] and
/// d[1] of lane 4 r + i, those of row r + 8 in d[2] and d[3].
template <typename Sum, typename Value, int kPerWord>
void multiply_fragments(void* const* lanes, Value (*value_of)(std::uint32_t word, int index)) {
  constexpr int kSteps = 8 * kPerWord;
  Value a[16][kSteps];
  Value b[kSteps][8];
  Sum d[16][8];
  const auto lane = [&](int i) -> const Fragments<Sum>& {
    return *static_cast<const Fragments<Sum>*>(lanes[i]);
  };
  for (int i = 0; i < 32; ++i) {
    const Fragments<Sum>& from = lane(i);
    for (int half = 0; half < 2; ++half) {
      for (int j = 0; j < kPerWord; ++j) {
        const int k = (half * 4 + i % 4) * kPerWord + j;
        a[i / 4][k] = value_of((*from.a)[2 * half], j);
        a[i / 4 + 8][k] = value_of((*from.a)[2 * half + 1], j);
        b[k][i / 4] = value_of((*from.b)[half], j);
      }
      for (int j = 0; j < 2; ++j) d[i / 4 + 8 * half][i % 4 * 2 + j] = (*from.d)[2 * half + j];
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kSteps; ++k) {
      const Value factor = a[row][k];
      for (int column = 0; column < 8; ++column) d[row][column] += factor * b[k][column];
    }
  }
  for (int i = 0; i < 32; ++i) {
    for (int half = 0; half < 2; ++half) {
      for (int j = 0; j < 2; ++j) {
        (*lane(i).d)[2 * half + j] = d[i / 4 + 8 * half][i % 4 * 2 + j];
      }
    }
  }
}

}  // namespace emulation

inline void load_matrices(std::uint32_t (&d)[4], const void* row) {
  emulation::load_matrices<false>(d, row);
}
inline void load_matrices_transposed(std::uint32_t (&d)[4], const void* row) {
  emulation::load_matrices<true>(d, row);
}

inline void multiply_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulation::Fragments<float> lane{&d, &a, &b};
  emulation::Block::current().collective(
      [](void* const* lanes) {
        emulation::multiply_fragments<float, float, 2>(lanes, [](std::uint32_t word, int index) {
          return to_float(bf16{static_cast<std::uint16_t>(word >> (16 * index))});
        });
      },
      &lane);
}

inline void multiply_int8(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                          const std::uint32_t (&b)[2]) {
  emulation::Fragments<std::int32_t> lane{&d, &a, &b};
  emulation::Block::current().collective(
      [](void* const* lanes) {
        emulation::multiply_fragments<std::int32_t, std::int32_t, 4>(
            lanes, [](std::uint32_t word, int index) {
              return std::int32_t{static_cast<std::int8_t>(word >> (8 * index))};
            });
      },
      &lane);
}

}  // namespace fdllm::cuda
