#pragma once

namespace fdllm::eval {

/// The text of harness.py, which runs a model's program within the sandbox.
const char* sandbox_harness();

}  // namespace fdllm::eval
