#include "server/http/connection_table.h"

#include <memory>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "server/http/socket.h"

namespace fdllm::server {
namespace {

using Phase = ConnectionTable::Phase;
using Room = ConnectionTable::Room;

/// A connection, of which the table has the server's end.
struct Peer {
  explicit Peer(ConnectionTable& table) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    client = Socket(ends[0]);
    server = Socket(ends[1]);
    entry = std::make_unique<ConnectionTable::Entry>(table, server.descriptor());
  }

  Socket client, server;
  std::unique_ptr<ConnectionTable::Entry> entry;
};

void let_time_pass() {
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
}

TEST(ConnectionTable, EndsTheOneThatCanBestBeMissed) {
  ConnectionTable table;
  Peer answering(table), asked(table), silent(table), young(table), reading(table), leaving(table);
  answering.entry->enter(Phase::kAnswering);
  asked.entry->enter(Phase::kAnswering);
  asked.entry->enter(Phase::kIdle);
  let_time_pass();
  reading.entry->enter(Phase::kReading);
  young.entry->enter(Phase::kIdle);
  let_time_pass();
  leaving.entry->enter(Phase::kLeaving);
  for (Peer* peer : {&leaving, &silent, &reading, &young, &asked}) {
    EXPECT_FALSE(peer->entry->is_ended());
    EXPECT_EQ(table.end_one(), Room::kMade);
    EXPECT_TRUE(peer->entry->is_ended());
  }
  EXPECT_EQ(table.end_one(), Room::kSoon);
  for (Peer* peer : {&leaving, &silent, &reading, &young, &asked}) peer->entry.reset();
  EXPECT_EQ(table.end_one(), Room::kNone);
  EXPECT_FALSE(answering.entry->is_ended());
  char byte = 0;
  EXPECT_EQ(recv(silent.server.descriptor(), &byte, 1, 0), 0);
  EXPECT_EQ(send(silent.server.descriptor(), "a", 1, 0), 1);
}

TEST(ConnectionTable, SparesWhoHasJustCome) {
  ConnectionTable table;
  Peer late(table);
  EXPECT_EQ(table.end_one(), Room::kSoon);
  late.entry.reset();
  Peer sent(table), begun(table);
  ASSERT_EQ(send(sent.client.descriptor(), "G", 1, 0), 1);
  begun.entry->enter(Phase::kReading);
  EXPECT_EQ(table.end_one(), Room::kSoon);
  EXPECT_TRUE(sent.entry->enter(Phase::kReading));
}

TEST(ConnectionTable, EndsAllButThoseThatAreAnswered) {
  ConnectionTable table;
  Peer idle(table), answering(table);
  answering.entry->enter(Phase::kAnswering);
  table.end_all();
  EXPECT_FALSE(idle.entry->enter(Phase::kReading));
  EXPECT_FALSE(idle.entry->enter(Phase::kLeaving));
  EXPECT_TRUE(answering.entry->is_ended());
  EXPECT_FALSE(answering.entry->enter(Phase::kIdle));
  EXPECT_TRUE(answering.entry->enter(Phase::kLeaving));
  Peer late(table);
  EXPECT_FALSE(late.entry->enter(Phase::kIdle));
}

}  // namespace
}  // namespace fdllm::server
