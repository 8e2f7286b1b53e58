#pragma once
#include "server/server.h"

namespace fdllm::cli {

/// Makes the allocator give back what requests have freed. Before the first thread is started.
void keep_little_free_memory();

/// From now on one SIGTERM is only noted; a second ends the program. For the time until the server
/// listens.
void catch_sigterm_while_loading();
/// Whether a signal that ends the server has come.
bool is_told_to_end();

/// From now on signals end a server in an orderly way, and a reader of its output that is gone ends
/// nothing.
void catch_server_signals();

/// Returns the exit code when the server that was started has ended. The first SIGTERM or SIGINT
/// lets accepted requests finish, the second ends them. A server that can accept no connections any
/// more ends too, and so does one whose model's file was changed while it is read, so that whoever
/// watches over it starts another.
int serve_until_ended(server::Server& server);

}  // namespace fdllm::cli
