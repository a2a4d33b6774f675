// Server-sent events (HTML Standard, 9.2): how answers are streamed.
#pragma once

#include <string>
#include <string_view>

#include "server/fields.h"
#include "server/http.h"

namespace fieldprint::server {

class EventStream {
 public:
  explicit EventStream(HttpReply& reply) : reply_(reply) {
    reply_.begin({.type = "text/event-stream; charset=utf-8",
                  .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  }
  void data(const Json& json) { reply_.write("data: " + dump(json) + "\n\n"); }
  void event(std::string_view name, const Json& json) {
    reply_.write("event: " + std::string(name) + "\ndata: " + dump(json) + "\n\n");
  }
  void raw(std::string_view data) { reply_.write("data: " + std::string(data) + "\n\n"); }
  void end() { reply_.end(); }

 private:
  HttpReply& reply_;
};

}  // namespace fieldprint::server
