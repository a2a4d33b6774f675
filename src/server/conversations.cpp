#include "server/conversations.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "base/json.h"
#include "fieldprint/error.h"
#include "server/api_error.h"

namespace fieldprint::server {

using nlohmann::json;

namespace {

constexpr int64_t kApplication = 0x46507274;  // "FPrt": tells our files from those of other programs

// One entry a version of the schema; a file of version n is brought up to date by all from n on.
constexpr std::array kVersions = {R"sql(
  CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    settings TEXT NOT NULL,
    leaf TEXT,
    UNIQUE (owner, id));
  CREATE INDEX conversations_by_time ON conversations (owner, updated, number);
  CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    parent INTEGER REFERENCES messages (number) ON DELETE CASCADE,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    details TEXT NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (conversation, id));
  CREATE INDEX messages_by_parent ON messages (parent);

  CREATE VIRTUAL TABLE title_search USING fts5 (
    title, content = 'conversations', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2');
  CREATE TRIGGER title_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_search (rowid, title) VALUES (new.number, new.title);
  END;
  CREATE TRIGGER title_removed AFTER DELETE ON conversations BEGIN
    INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.number, old.title);
  END;
  CREATE TRIGGER title_changed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_search (title_search, rowid, title) VALUES ('delete', old.number, old.title);
    INSERT INTO title_search (rowid, title) VALUES (new.number, new.title);
  END;

  CREATE VIRTUAL TABLE message_search USING fts5 (
    content, content = 'messages', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2');
  CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_search (rowid, content) VALUES (new.number, new.content);
  END;
  CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', old.number, old.content);
  END;
  CREATE TRIGGER message_changed AFTER UPDATE OF content ON messages BEGIN
    INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', old.number, old.content);
    INSERT INTO message_search (rowid, content) VALUES (new.number, new.content);
  END;
)sql"};

std::string new_id(const char* prefix) {
  std::random_device random;
  std::string id = prefix;
  for (int i = 0; i < 4; ++i) {
    const unsigned bits = random();
    for (int shift = 0; shift < 16; shift += 4) id += "0123456789abcdef"[bits >> shift & 15];
  }
  return id;
}

const json* member(const json& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? nullptr : &*found;
}

void expect_object(const json& value, const std::string& where) {
  if (!value.is_object()) throw ApiError(400, (where.empty() ? "the body" : where) + " must be an object", where);
}

std::string path(const std::string& where, const char* name) { return where.empty() ? name : where + "." + name; }

// A text of at most `bytes`, or nothing where there is none.
std::optional<std::string> text_of(const json& fields, const char* name, size_t bytes, const std::string& where = {}) {
  const json* value = member(fields, name);
  if (!value) return std::nullopt;
  if (!value->is_string()) throw ApiError(400, path(where, name) + " must be a string", path(where, name));
  auto text = value->get<std::string>();
  if (text.size() > bytes) {
    throw ApiError(
        413, path(where, name) + " has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(bytes),
        path(where, name));
  }
  return text;
}

// An object as JSON text of at most `bytes`.
std::optional<std::string> object_of(const json& fields, const char* name, size_t bytes,
                                     const std::string& where = {}) {
  const json* value = member(fields, name);
  if (!value) return std::nullopt;
  expect_object(*value, path(where, name));
  auto text = value->dump();
  if (text.size() > bytes) {
    throw ApiError(
        413, path(where, name) + " has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(bytes),
        path(where, name));
  }
  return text;
}

// An id: of an import, or of a parent.
std::optional<std::string> id_of(const json& fields, const char* name, const std::string& where = {}) {
  const json* value = member(fields, name);
  if (!value || value->is_null()) return std::nullopt;
  auto id = text_of(fields, name, 64, where);
  if (id->empty()) throw ApiError(400, path(where, name) + " must not be empty", path(where, name));
  return id;
}

int64_t time_of(const json& fields, const char* name, int64_t otherwise, const std::string& where) {
  const json* value = member(fields, name);
  if (!value) return otherwise;
  if (!value->is_number_integer() || value->get<double>() < 0 || value->get<double>() > 4e15) {
    throw ApiError(400, path(where, name) + " must be milliseconds since 1970", path(where, name));
  }
  return value->get<int64_t>();
}

std::string role_of(const json& fields, const std::string& where = {}) {
  auto role = text_of(fields, "role", 64, where);
  for (const char* known : {"user", "assistant", "system", "tool"}) {
    if (role == known) return *role;
  }
  throw ApiError(400, path(where, "role") + " must be user, assistant, system or tool", path(where, "role"));
}

// What people type into a search box as FTS5 has it: each word quoted, so that none is an operator; the last may be the
// beginning of one. "" where there is nothing to look for.
std::string match_of(const std::string& query) {
  std::string match;
  size_t begin = 0;
  while (begin < query.size()) {
    auto end = query.find_first_of(" \t\r\n", begin);
    if (end == std::string::npos) end = query.size();
    const auto word = query.substr(begin, end - begin);
    begin = end + 1;
    bool speaks = false;  // FTS5 has nothing to look for in signs
    for (const unsigned char c : word) speaks = speaks || c >= 0x80 || std::isalnum(c);
    if (!speaks) continue;
    match += match.empty() ? "\"" : " \"";
    for (const char c : word) {
      if (c == '\0') continue;
      match += c == '"' ? "\"\"" : std::string(1, c);
    }
    match += '"';
  }
  return match.empty() ? match : match + "*";
}

bool damaged(Sqlite& database) {
  Statement check(database, "PRAGMA quick_check(1)");
  return !check.step() || check.text(0) != "ok";
}

int64_t pragma(Sqlite& database, const char* sql) {
  Statement value(database, sql);
  value.step();
  return value.number(0);
}

json message_json(Statement& row) {
  return {{"id", row.text(0)},        {"parent", row.null(1) ? json() : json(row.text(1))},
          {"role", row.text(2)},      {"content", row.text(3)},
          {"created", row.number(4)}, {"details", parse_json(row.text(5), "details")}};
}

constexpr const char* kMessageColumns =
    "SELECT m.id, p.id, m.role, m.content, m.created, m.details FROM messages m LEFT JOIN messages p ON p.number = "
    "m.parent ";

}  // namespace

struct Conversations::Row {
  int64_t number = 0, created = 0, updated = 0;
  std::string id, title, settings;
  json leaf;

  json summary() const { return {{"id", id}, {"title", title}, {"created", created}, {"updated", updated}}; }
};

Conversations::Conversations(const std::filesystem::path& file) : file_(file.empty() ? ":memory:" : file) {
  if (!file.empty()) {
    std::error_code error;
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
    // What people say to a model is theirs: nobody else may read it. SQLite's other files take the same mode.
    if (const int made = ::open(file.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600); made >= 0) ::close(made);
  }
  try {
    open();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadFile) throw;
    database_.reset();
    std::filesystem::path aside;
    for (int i = 1; aside.empty() || std::filesystem::exists(aside); ++i) {
      aside = file_.string() + ".damaged-" + std::to_string(i);
    }
    // The log belongs to the file: without it the latest messages are lost to whoever repairs it.
    for (const char* part : {"", "-wal", "-shm"}) {
      std::error_code missing;
      std::filesystem::rename(file_.string() + part, aside.string() + part, missing);
      if (missing && *part == 0) throw;
    }
    notice_ = std::string(error.what()) + "; it lies in " + aside.string() + " now, and an empty one took its place";
    open();
  }
}

void Conversations::open() {
  database_ = std::make_unique<Sqlite>(file_, "the database of conversations");
  auto& db = *database_;
  if (damaged(db)) throw Error(ErrorKind::kBadFile, "the database of conversations is damaged", db.name());
  db.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  Transaction transaction(db);
  const auto version = pragma(db, "PRAGMA user_version");
  const auto application = pragma(db, "PRAGMA application_id");
  const bool fresh = version == 0 && application == 0 && pragma(db, "SELECT count(*) FROM sqlite_master") == 0;
  if (!fresh && application != kApplication) {
    throw Error(ErrorKind::kUnsupported, "this is another program's database", db.name(), "name another file");
  }
  if (version > static_cast<int64_t>(kVersions.size())) {
    throw Error(ErrorKind::kUnsupported, "a later version of Fieldprint wrote this database", db.name(),
                "use that version, or name another file");
  }
  for (size_t i = static_cast<size_t>(version); i < kVersions.size(); ++i) db.run(kVersions[i]);
  db.run(("PRAGMA application_id = " + std::to_string(kApplication)).c_str());
  db.run(("PRAGMA user_version = " + std::to_string(kVersions.size())).c_str());
  transaction.commit();
}

// Each later than the one before, so that "latest first" is one order.
int64_t Conversations::now() {
  const auto time =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return last_time_ = std::max<int64_t>(last_time_ + 1, time.count());
}

Conversations::Row Conversations::find(const std::string& owner, const std::string& id) {
  Statement rows(
      *database_,
      "SELECT number, created, updated, id, title, settings, leaf FROM conversations WHERE owner = ? AND id = ?");
  rows.bind(owner).bind(id);
  if (!rows.step()) throw ApiError(404, "there is no conversation " + id, "id");
  Row row;
  row.number = rows.number(0), row.created = rows.number(1), row.updated = rows.number(2);
  row.id = rows.text(3), row.title = rows.text(4), row.settings = rows.text(5);
  if (!rows.null(6)) row.leaf = rows.text(6);
  return row;
}

int64_t Conversations::message_number(const Row& conversation, const std::string& message, const char* field) {
  Statement rows(*database_, "SELECT number FROM messages WHERE conversation = ? AND id = ?");
  rows.bind(conversation.number).bind(message);
  if (!rows.step()) throw ApiError(404, "there is no message " + message + " in this conversation", field);
  return rows.number(0);
}

json Conversations::whole(const Row& row) {
  auto conversation = row.summary();
  conversation["settings"] = parse_json(row.settings, "settings");
  conversation["leaf"] = row.leaf;
  auto& messages = conversation["messages"] = json::array();
  Statement rows(*database_, std::string(kMessageColumns) + "WHERE m.conversation = ? ORDER BY m.number");
  rows.bind(row.number);
  while (rows.step()) messages.push_back(message_json(rows));
  return conversation;
}

json Conversations::list(const std::string& owner, const std::string& query, int limit, const std::string& before) {
  if (limit < 1 || limit > kPage) throw ApiError(400, "limit must be 1 to " + std::to_string(kPage), "limit");
  int64_t time = std::numeric_limits<int64_t>::max(), number = time;
  if (!before.empty()) {
    const auto dot = before.find('.');
    const auto digits = [](const std::string& text) {
      return !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
    };
    if (dot == std::string::npos || !digits(before.substr(0, dot)) || !digits(before.substr(dot + 1))) {
      throw ApiError(400, "before must be the \"next\" of an earlier list", "before");
    }
    time = std::stoll(before.substr(0, dot)), number = std::stoll(before.substr(dot + 1));
  }
  const auto match = match_of(query);
  if (!query.empty() && match.empty()) return {{"conversations", json::array()}, {"next", nullptr}};

  const std::scoped_lock lock(mutex_);
  std::string sql =
      "SELECT number, id, title, created, updated, (SELECT count(*) FROM messages WHERE conversation = c.number) "
      "FROM conversations c WHERE owner = ? AND (updated, number) < (?, ?) ";
  if (!match.empty()) {
    sql +=
        "AND (number IN (SELECT rowid FROM title_search WHERE title_search MATCH ?) OR number IN (SELECT conversation "
        "FROM "
        "messages WHERE number IN (SELECT rowid FROM message_search WHERE message_search MATCH ?))) ";
  }
  sql += "ORDER BY updated DESC, number DESC LIMIT ?";
  Statement rows(*database_, sql);
  rows.bind(owner).bind(time).bind(number);
  if (!match.empty()) rows.bind(match).bind(match);
  rows.bind(static_cast<int64_t>(limit) + 1);

  json found = json::array(), next;
  std::string last;
  while (rows.step()) {
    if (found.size() == static_cast<size_t>(limit)) {
      next = last;
      break;
    }
    json entry = {{"id", rows.text(1)},
                  {"title", rows.text(2)},
                  {"created", rows.number(3)},
                  {"updated", rows.number(4)},
                  {"messages", rows.number(5)}};
    if (!match.empty()) {
      Statement snippet(*database_,
                        "SELECT snippet(message_search, 0, '', '', '…', 16) FROM message_search JOIN messages m ON "
                        "m.number = message_search.rowid WHERE message_search MATCH ? AND m.conversation = ? LIMIT 1");
      snippet.bind(match).bind(rows.number(0));
      if (snippet.step()) entry["snippet"] = snippet.text(0);
    }
    found.push_back(std::move(entry));
    last = std::to_string(rows.number(4)) + "." + std::to_string(rows.number(0));
  }
  return {{"conversations", std::move(found)}, {"next", std::move(next)}};
}

// A conversation with its messages, from fields that nobody has checked: of create() or of an import.
int64_t Conversations::insert(const std::string& owner, const json& fields, const std::string& where,
                              const std::string& id) {
  expect_object(fields, where);
  Statement count(*database_, "SELECT count(*) FROM conversations WHERE owner = ?");
  count.bind(owner);
  if (count.step() && count.number(0) >= kConversations) {
    throw ApiError(413, "there are " + std::to_string(kConversations) + " conversations already; delete some");
  }
  const auto time = now();
  Statement row(*database_,
                "INSERT INTO conversations (owner, id, title, created, updated, settings) VALUES (?, ?, ?, ?, ?, ?)");
  row.bind(owner).bind(id);
  row.bind(text_of(fields, "title", kTitleBytes, where).value_or(""));
  row.bind(time_of(fields, "created", time, where)).bind(time_of(fields, "updated", time, where));
  row.bind(object_of(fields, "settings", kSettingsBytes, where).value_or("{}"));
  row.run();
  Statement key(*database_, "SELECT last_insert_rowid()");
  key.step();
  return key.number(0);
}

json Conversations::create(const std::string& owner, const json& fields) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  json known = fields;
  if (known.is_object()) known.erase("created"), known.erase("updated");  // the server's clock counts
  const auto id = new_id("c-");
  insert(owner, known, "", id);
  transaction.commit();
  return whole(find(owner, id));
}

json Conversations::get(const std::string& owner, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return whole(find(owner, id));
}

json Conversations::change(const std::string& owner, const std::string& id, const json& fields) {
  expect_object(fields, "");
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  const auto row = find(owner, id);
  if (const auto title = text_of(fields, "title", kTitleBytes)) {
    Statement(*database_, "UPDATE conversations SET title = ? WHERE number = ?").bind(*title).bind(row.number).run();
  }
  if (const auto settings = object_of(fields, "settings", kSettingsBytes)) {
    Statement(*database_, "UPDATE conversations SET settings = ? WHERE number = ?")
        .bind(*settings)
        .bind(row.number)
        .run();
  }
  if (member(fields, "leaf")) {
    const auto leaf = id_of(fields, "leaf");
    if (leaf) message_number(row, *leaf, "leaf");
    Statement(*database_, "UPDATE conversations SET leaf = ? WHERE number = ?")
        .bind_or_null(leaf)
        .bind(row.number)
        .run();
  }
  transaction.commit();
  auto changed = find(owner, id);
  auto answer = changed.summary();
  answer["settings"] = parse_json(changed.settings, "settings");
  answer["leaf"] = changed.leaf;
  return answer;
}

void Conversations::remove(const std::string& owner, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  Statement(*database_, "DELETE FROM conversations WHERE number = ?").bind(find(owner, id).number).run();
  transaction.commit();
}

json Conversations::add_message(const std::string& owner, const std::string& id, const json& fields) {
  expect_object(fields, "");
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  const auto row = find(owner, id);
  Statement count(*database_, "SELECT count(*) FROM messages WHERE conversation = ?");
  count.bind(row.number).step();
  if (count.number(0) >= kMessages) {
    throw ApiError(413, "this conversation has " + std::to_string(kMessages) + " messages already");
  }
  const auto parent = id_of(fields, "parent");
  const auto message = new_id("m-");
  const auto time = now();
  Statement insert(*database_,
                   "INSERT INTO messages (conversation, id, parent, role, content, details, created) VALUES (?, ?, "
                   "(SELECT number FROM messages WHERE conversation = ? AND id = ?), ?, ?, ?, ?)");
  if (parent) message_number(row, *parent, "parent");
  insert.bind(row.number).bind(message).bind(row.number).bind_or_null(parent).bind(role_of(fields));
  insert.bind(text_of(fields, "content", kContentBytes).value_or(""));
  insert.bind(object_of(fields, "details", kDetailsBytes).value_or("{}")).bind(time).run();
  Statement(*database_, "UPDATE conversations SET leaf = ?, updated = ? WHERE number = ?")
      .bind(message)
      .bind(time)
      .bind(row.number)
      .run();
  transaction.commit();
  Statement added(*database_, std::string(kMessageColumns) + "WHERE m.conversation = ? AND m.id = ?");
  added.bind(row.number).bind(message).step();
  return message_json(added);
}

json Conversations::change_message(const std::string& owner, const std::string& id, const std::string& message,
                                   const json& fields) {
  expect_object(fields, "");
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  const auto row = find(owner, id);
  const auto number = message_number(row, message, "message");
  if (const auto content = text_of(fields, "content", kContentBytes)) {
    Statement(*database_, "UPDATE messages SET content = ? WHERE number = ?").bind(*content).bind(number).run();
  }
  if (const auto details = object_of(fields, "details", kDetailsBytes)) {
    Statement(*database_, "UPDATE messages SET details = ? WHERE number = ?").bind(*details).bind(number).run();
  }
  Statement(*database_, "UPDATE conversations SET updated = ? WHERE number = ?").bind(now()).bind(row.number).run();
  transaction.commit();
  Statement changed(*database_, std::string(kMessageColumns) + "WHERE m.number = ?");
  changed.bind(number).step();
  return message_json(changed);
}

void Conversations::remove_message(const std::string& owner, const std::string& id, const std::string& message) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  const auto row = find(owner, id);
  const auto number = message_number(row, message, "message");
  Statement parent(*database_,
                   "SELECT p.id FROM messages m LEFT JOIN messages p ON p.number = m.parent WHERE m.number = ?");
  parent.bind(number).step();
  const auto above = parent.null(0) ? std::nullopt : std::optional(parent.text(0));
  Statement(*database_, "DELETE FROM messages WHERE number = ?").bind(number).run();
  // The branch that was shown may be gone.
  Statement(*database_,
            "UPDATE conversations SET leaf = ? WHERE number = ? AND leaf NOT IN (SELECT id FROM messages WHERE "
            "conversation = ?)")
      .bind_or_null(above)
      .bind(row.number)
      .bind(row.number)
      .run();
  transaction.commit();
}

json Conversations::export_all(const std::string& owner, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> ids;
  if (!id.empty()) {
    ids.push_back(id);
  } else {
    Statement rows(*database_, "SELECT id FROM conversations WHERE owner = ? ORDER BY updated, number");
    rows.bind(owner);
    while (rows.step()) ids.push_back(rows.text(0));
  }
  json conversations = json::array();
  for (const auto& each : ids) conversations.push_back(whole(find(owner, each)));
  return {{"format", "fieldprint-conversations"}, {"version", 1}, {"conversations", std::move(conversations)}};
}

json Conversations::import_all(const std::string& owner, const json& file) {
  expect_object(file, "");
  if (text_of(file, "format", 64) != "fieldprint-conversations") {
    throw ApiError(400, "format must be fieldprint-conversations: is this an exported file?", "format");
  }
  if (const json* version = member(file, "version"); !version || *version != 1) {
    throw ApiError(400, "version must be 1: a later version of Fieldprint wrote this file", "version");
  }
  const json* conversations = member(file, "conversations");
  if (!conversations || !conversations->is_array()) {
    throw ApiError(400, "conversations must be a list", "conversations");
  }
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*database_);
  json imported = json::array();
  for (size_t c = 0; c < conversations->size(); ++c) {
    const auto& fields = (*conversations)[c];
    const auto where = "conversations[" + std::to_string(c) + "]";
    expect_object(fields, where);
    auto id = id_of(fields, "id", where).value_or(new_id("c-"));
    Statement taken(*database_, "SELECT 1 FROM conversations WHERE owner = ? AND id = ?");
    taken.bind(owner).bind(id);
    if (taken.step()) id = new_id("c-");
    const auto conversation = insert(owner, fields, where, id);

    const json* messages = member(fields, "messages");
    if (!messages || !messages->is_array())
      throw ApiError(400, where + ".messages must be a list", where + ".messages");
    if (static_cast<int64_t>(messages->size()) > kMessages) {
      throw ApiError(413, where + ".messages has more than " + std::to_string(kMessages), where + ".messages");
    }
    // A parent stands before its children: what is so written has no circles.
    std::map<std::string, int64_t> numbers;
    for (size_t m = 0; m < messages->size(); ++m) {
      const auto& message = (*messages)[m];
      const auto place = where + ".messages[" + std::to_string(m) + "]";
      expect_object(message, place);
      const auto name = id_of(message, "id", place);
      if (!name || numbers.contains(*name)) throw ApiError(400, place + ".id must be a new one", place + ".id");
      const auto parent = id_of(message, "parent", place);
      if (parent && !numbers.contains(*parent)) {
        throw ApiError(400, place + ".parent must be a message before it", place + ".parent");
      }
      Statement row(*database_,
                    "INSERT INTO messages (conversation, id, parent, role, content, details, created) VALUES (?, ?, "
                    "(SELECT number FROM messages WHERE number = ?), ?, ?, ?, ?)");
      row.bind(conversation).bind(*name).bind(parent ? numbers[*parent] : int64_t{0}).bind(role_of(message, place));
      row.bind(text_of(message, "content", kContentBytes, place).value_or(""));
      row.bind(object_of(message, "details", kDetailsBytes, place).value_or("{}"));
      row.bind(time_of(message, "created", 0, place)).run();
      Statement key(*database_, "SELECT last_insert_rowid()");
      key.step();
      numbers[*name] = key.number(0);
    }
    const auto leaf = id_of(fields, "leaf", where);
    if (leaf && !numbers.contains(*leaf)) {
      throw ApiError(400, where + ".leaf must be one of its messages", where + ".leaf");
    }
    Statement(*database_, "UPDATE conversations SET leaf = ? WHERE number = ?")
        .bind_or_null(leaf)
        .bind(conversation)
        .run();
    imported.push_back({{"id", id}, {"title", text_of(fields, "title", kTitleBytes, where).value_or("")}});
  }
  transaction.commit();
  return {{"conversations", std::move(imported)}};
}

}  // namespace fieldprint::server
