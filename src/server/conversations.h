// The conversations that people keep on the server, in one SQLite file: what the page shows in its list, and what is
// still there after a restart. What a call has returned for survives a kill -9 (WAL, synchronous=FULL).
//
// A conversation as JSON:
//   {"id", "title", "created", "updated", "settings": {...}, "leaf", "messages": [MESSAGE...]}
// and a message:
//   {"id", "parent", "role", "content", "created", "details": {...}}
// Times are milliseconds since 1970. Messages form a tree: an edited question or another answer is a second child of
// the same parent, and `leaf` names the end of the branch that is shown. `settings` and `details` (reasoning, tool
// calls, attachments, speed, the exchange's hash ...) are the page's own and kept as they come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "base/sqlite.h"

namespace fieldprint::server {

// From any thread; one call at a time works on the file. Each call sees and touches the owner's conversations only.
// Throws ApiError 400 that names the field, 404 for what the owner does not have, 413 for what is too large; Error
// where the file or the disk is to blame.
class Conversations {
 public:
  static constexpr size_t kTitleBytes = 500;
  static constexpr size_t kContentBytes = 4 << 20;   // of one message
  static constexpr size_t kDetailsBytes = 16 << 20;  // as JSON: probabilities and influence of a long answer take 5 MB
  static constexpr size_t kSettingsBytes = 1 << 20;
  static constexpr int64_t kMessages = 10'000;        // of one conversation
  static constexpr int64_t kConversations = 100'000;  // of one owner
  static constexpr int kPage = 200;                   // conversations in one answer of list()

  // Opens or makes the file and its folder; "" keeps everything in memory. A damaged file is moved aside, as
  // NAME.damaged-1, and an empty one takes its place: notice() says so. Throws Error kUnsupported for a file of a later
  // version or of another program, kIo for what cannot be opened: these stay where they are.
  explicit Conversations(const std::filesystem::path& file);

  const std::string& notice() const { return notice_; }  // "" or a sentence for whoever started the server

  // {"conversations": [{"id", "title", "created", "updated", "messages": COUNT, "snippet"}], "next"}: latest first;
  // with a query those whose title or one of whose messages has all its words (the last may be a beginning). `before`:
  // the "next" of the answer before, null on the last.
  nlohmann::json list(const std::string& owner, const std::string& query, int limit, const std::string& before);

  nlohmann::json create(const std::string& owner, const nlohmann::json& fields);  // title, settings; without messages
  nlohmann::json get(const std::string& owner, const std::string& id);            // whole
  nlohmann::json change(const std::string& owner, const std::string& id,          // title, settings, leaf
                        const nlohmann::json& fields);
  void remove(const std::string& owner, const std::string& id);

  // role, content, parent (null: a first message), details. It becomes the leaf.
  nlohmann::json add_message(const std::string& owner, const std::string& id, const nlohmann::json& fields);
  nlohmann::json change_message(const std::string& owner, const std::string& id, const std::string& message,
                                const nlohmann::json& fields);  // content, details
  // With all that hangs below it.
  void remove_message(const std::string& owner, const std::string& id, const std::string& message);

  // {"format": "fieldprint-conversations", "version": 1, "conversations": [...]}, of `id` or, for "", of all.
  nlohmann::json export_all(const std::string& owner, const std::string& id);
  // What export_all() gave: all of it or, where something is wrong, nothing. Ids that are taken become new ones.
  // {"conversations": [{"id", "title"}]}.
  nlohmann::json import_all(const std::string& owner, const nlohmann::json& file);

 private:
  struct Row;

  void open();
  int64_t now();
  Row find(const std::string& owner, const std::string& id);
  int64_t message_number(const Row& conversation, const std::string& message, const char* field);
  int64_t insert(const std::string& owner, const nlohmann::json& fields, const std::string& where,
                 const std::string& id);
  nlohmann::json whole(const Row& row);

  std::filesystem::path file_;
  std::string notice_;
  std::mutex mutex_;  // guards all below
  std::unique_ptr<Sqlite> database_;
  int64_t last_time_ = 0;
};

}  // namespace fieldprint::server
