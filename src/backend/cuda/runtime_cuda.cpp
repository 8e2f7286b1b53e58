#include <algorithm>

#include <cuda_runtime_api.h>

#include "backend/cuda/launch_queue.h"
#include "backend/cuda/runtime.h"
#include "base/check.h"

namespace fdllm::cuda {
namespace {

constexpr int kOldest = 80;  ///< compute capability that the kernels need: cp.async, bf16 products

/// A failed allocation must not stay behind as the last error, where the next launch would find it.
std::byte* allocated(cudaError_t result, void* memory, std::size_t bytes, std::string_view what) {
  if (result == cudaSuccess) return static_cast<std::byte*>(memory);
  cudaGetLastError();
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  cudaMemGetInfo(&free_bytes, &total_bytes);
  constexpr double kMiB = 1 << 20;
  fail(ErrorCode::kOutOfMemory,
       "{}: could not allocate {:.1f} MiB; the GPU has {:.1f} of {:.1f} MiB free", what,
       static_cast<double>(bytes) / kMiB, static_cast<double>(free_bytes) / kMiB,
       static_cast<double>(total_bytes) / kMiB);
}

class CapturedGraph final : public Graph {
 public:
  CapturedGraph(cudaStream_t stream, std::span<const Launch> launches) : stream_(stream) {
    cudaGraph_t graph = nullptr;
    check_call(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "a capture's begin");
    try {
      for (const Launch& launch : launches) launch.start(stream);
    } catch (...) {
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      cudaGetLastError();  // the capture's own, which the next launch would find
      throw;
    }
    check_call(cudaStreamEndCapture(stream, &graph), "a capture's end");
    const cudaError_t result = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check_call(result, "a graph");
  }
  ~CapturedGraph() override { cudaGraphExecDestroy(executable_); }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  void start() override { check_call(cudaGraphLaunch(executable_, stream_), "a graph's start"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

std::unique_ptr<Graph> Runtime::capture(std::span<const Launch> launches) {
  make_current();
  return std::make_unique<CapturedGraph>(static_cast<cudaStream_t>(stream_), launches);
}

void check_call(int result, const char* what) {
  if (result == cudaSuccess) return;
  fail(ErrorCode::kInternal, "CUDA: {}: {}", what,
       cudaGetErrorString(static_cast<cudaError_t>(result)));
}

int Runtime::device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

Runtime::Runtime(int ordinal) : ordinal_(ordinal) {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess || count == 0) {
    fail(ErrorCode::kUnsupported, "device: 'cuda' finds no NVIDIA GPU ({}); use the device 'cpu'",
         result != cudaSuccess ? cudaGetErrorString(result) : "the driver knows none");
  }
  if (ordinal < 0 || ordinal >= count) {
    fail(ErrorCode::kInvalidArgument,
         "device: expected the number of a GPU, 0 to {}, found 'cuda:{}'", count - 1, ordinal);
  }
  cudaDeviceProp properties{};
  check_call(cudaGetDeviceProperties(&properties, ordinal), "properties of the GPU");
  const int capability = 10 * properties.major + properties.minor;
  if (capability < kOldest) {
    fail(ErrorCode::kUnsupported,
         "device: 'cuda' needs compute capability 8.0 or newer, '{}' has {}.{}", properties.name,
         properties.major, properties.minor);
  }
  make_current();
  cudaEvent_t mark = nullptr;
  check_call(cudaEventCreateWithFlags(&mark, cudaEventDisableTiming), "an event");
  mark_ = mark;
  cudaStream_t stream = nullptr;
  const cudaError_t created = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (created != cudaSuccess) cudaEventDestroy(mark);
  check_call(created, "a stream");
  stream_ = stream;
  name_ = properties.name;
}

Runtime::~Runtime() {
  cudaSetDevice(ordinal_);
  cudaEventDestroy(static_cast<cudaEvent_t>(mark_));
  cudaStreamDestroy(static_cast<cudaStream_t>(stream_));
}

std::byte* Runtime::allocate(std::size_t bytes, std::string_view what) {
  make_current();
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, bytes);
  std::byte* const data = allocated(result, memory, bytes, what);
  check_call(cudaMemsetAsync(memory, 0, bytes, static_cast<cudaStream_t>(stream_)), "zeros");
  return data;
}

void Runtime::release(std::byte* memory) noexcept {
  submit_quietly();
  cudaSetDevice(ordinal_);
  cudaFree(memory);
}

std::uint64_t Runtime::free_memory() const {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  make_current();
  check_call(cudaMemGetInfo(&free_bytes, &total_bytes), "the GPU's free memory");
  return free_bytes;
}

std::byte* Runtime::allocate_pinned(std::size_t bytes, std::string_view what) {
  make_current();
  void* memory = nullptr;
  const cudaError_t result = cudaMallocHost(&memory, bytes);
  return allocated(result, memory, bytes, what);
}

void Runtime::release_pinned(std::byte* memory) noexcept {
  cudaFreeHost(memory);
}

void Runtime::copy_to_device(void* to, const void* from, std::size_t bytes) {
  submit();
  make_current();
  check_call(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream_)),
      "a copy to the GPU");
}

void Runtime::copy_to_host(void* to, const void* from, std::size_t bytes) {
  submit();
  make_current();
  check_call(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream_)),
      "a copy from the GPU");
}

void Runtime::synchronize() {
  submit();
  rethrow_error();
  make_current();
  check_call(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)), "waiting for the GPU");
}

void Runtime::make_current() const {
  check_call(cudaSetDevice(ordinal_), "taking the GPU");
}

bool Runtime::can_read(const Runtime& peer) {
  if (peer.ordinal_ == ordinal_ ||
      std::ranges::find(readable_peers_, peer.ordinal_) != readable_peers_.end()) {
    return true;
  }
  int can = 0;
  check_call(cudaDeviceCanAccessPeer(&can, ordinal_, peer.ordinal_), "access to a GPU's peer");
  if (can == 0) return false;
  make_current();
  const cudaError_t result = cudaDeviceEnablePeerAccess(peer.ordinal_, 0);
  if (result == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();
  } else {
    check_call(result, "access to a GPU's peer");
  }
  readable_peers_.push_back(peer.ordinal_);
  return true;
}

void Runtime::copy_from_peer(void* to, const Runtime& peer, const void* from, std::size_t bytes) {
  submit();
  make_current();
  check_call(cudaMemcpyPeerAsync(to, ordinal_, from, peer.ordinal_, bytes,
                                 static_cast<cudaStream_t>(stream_)),
             "a copy from another GPU");
}

void Runtime::mark() {
  submit();
  make_current();
  check_call(cudaEventRecord(static_cast<cudaEvent_t>(mark_), static_cast<cudaStream_t>(stream_)),
             "an event's record");
}

void Runtime::wait_for_mark(const Runtime& other) {
  submit();
  make_current();
  check_call(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream_),
                                 static_cast<cudaEvent_t>(other.mark_), 0),
             "a wait for another GPU");
}

}  // namespace fdllm::cuda
