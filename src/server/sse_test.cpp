#include "server/sse.h"

#include <gtest/gtest.h>

namespace fdllm::server {
namespace {

TEST(Sse, WrapsDataInAnEvent) {
  EXPECT_EQ(sse_event(R"({"a": 1})"), "data: {\"a\": 1}\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
}

TEST(Sse, LineBreaksStayInTheEvent) {
  EXPECT_EQ(sse_event("a\nb"), "data: a\ndata: b\n\n");
  EXPECT_EQ(sse_event("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n");
  EXPECT_EQ(sse_event("\n\n"), "data: \ndata: \ndata: \n\n");
}

}  // namespace
}  // namespace fdllm::server
