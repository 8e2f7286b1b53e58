#pragma once

namespace fdllm::cli {

/// From now on the first Ctrl-C only sets a flag; a second one before clear_interrupt() ends the
/// program as usual. Signals that end or stop the program first show the cursor again if it was
/// hidden.
void catch_signals();
/// The same for Ctrl-C alone, until release_interrupt() lets it do what it did before.
void catch_interrupt();
void release_interrupt();
bool interrupted();
void clear_interrupt();

/// The cursor of the terminal behind file descriptor `fd` is hidden (or shown again).
void note_cursor_hidden(int fd);
void note_cursor_shown();

}  // namespace fdllm::cli
