#pragma once

namespace fdllm::cli {

/// From now on reading a part of a mapped checkpoint that its file no longer has (it was shortened,
/// its disk is gone) ends the process with a sentence that names the file, and exit code 4, instead
/// of the signal SIGBUS.
void install_bus_guard();

}  // namespace fdllm::cli
