#pragma once

namespace fdllm::cpu {

/// The threads that BackendOptions::threads asks for; kInvalidArgument where it is out of range.
int thread_count(int requested);

}  // namespace fdllm::cpu
