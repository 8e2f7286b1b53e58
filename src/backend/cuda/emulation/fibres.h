#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include <boost/context/fiber.hpp>

namespace fdllm::cuda::emulation {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

/// What a kernel asks where it is, as in CUDA: set whenever a fibre goes on.
inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;

/// The threads of one block at a time, as fibres of the calling thread. A fibre runs until it must
/// wait for others; one that waits for what never comes is an error, not a hang.
class Block {
 public:
  using Body = void (*)(void* context);

  /// Of the calling thread.
  static Block& current();
  ~Block() { stop(); }

  /// Runs body(context) in every thread of every block, one block after another; `shared_bytes` of
  /// shared memory begin as garbage. Throws kInternal where threads wait for each other for ever.
  void run(Index grid, unsigned threads, std::size_t shared_bytes, Body body, void* context);

  // The rest is called by running kernels only.

  std::byte* shared_memory() { return shared_.data(); }
  void sync();
  /// All 32 lanes of the calling warp come with arguments for the same operation; the last one runs
  /// operation(arguments of all lanes).
  void collective(void (*operation)(void* const* lanes), void* arguments);

  void copy(void* to, const void* from, bool valid);
  void commit_copies();
  void wait_copies(std::size_t pending_groups);

 private:
  struct Copy {
    void* to;
    const void* from;  ///< nullptr: zeros
  };
  struct Thread {
    boost::context::fiber fibre, scheduler;
    boost::context::stack_context stack;
    void* fake_stack = nullptr;  ///< AddressSanitizer's, while the fibre waits
    Index index;
    const std::uint64_t* generation = nullptr;  ///< waits until it differs from `seen`
    std::uint64_t seen = 0;
    bool finished = true;
    std::vector<Copy> copies;
    std::vector<std::size_t> groups;  ///< copies of each closed group
    std::size_t open = 0;             ///< copies of the group that is not closed
  };
  struct Warp {
    void* lanes[32] = {};
    void (*operation)(void* const*) = nullptr;
    unsigned arrived = 0;
    std::uint64_t generation = 0;
  };

  void run_block();
  void start(Thread& thread);
  /// Lets the fibre go on until it waits or finishes.
  void resume(Thread& thread);
  /// Back to the scheduler, until it resumes the thread.
  void yield(Thread& thread);
  /// Ends all fibres, wherever they wait.
  void stop();
  void wait(const std::uint64_t& generation);

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  std::vector<std::byte> shared_;
  Thread* running_ = nullptr;
  unsigned size_ = 0, arrived_ = 0;
  std::uint64_t generation_ = 0;
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
  bool stopping_ = false;
  const void* scheduler_stack_ = nullptr;  ///< for AddressSanitizer
  std::size_t scheduler_stack_bytes_ = 0;
};

}  // namespace fdllm::cuda::emulation
