#include "train/distilled.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "base/float16.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little);  // X.top is little-endian

constexpr size_t kKeyBytes = 32;
constexpr size_t kHeadBytes = kKeyBytes + 2 * sizeof(uint32_t);
constexpr uint64_t kMaxTop = 1 << 24;  // more than any vocabulary has

bool is_key(std::string_view text) {
  return text.size() == 2 * kKeyBytes && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A member of a row that is missing is as if it said nothing; one of another type is an Error.
class Members {
 public:
  Members(const ordered_json& object, const std::string& where) : object_(object), where_(where) {}

  std::string text(const char* name) const {
    const ordered_json* found = find(name);
    if (found != nullptr && !found->is_string()) refuse(name, "a string");
    return found == nullptr ? std::string() : found->get<std::string>();
  }

  // Its JSON, without spaces, members in the order that they have there: a tool's parameters mean something by theirs.
  std::string json(const char* name, bool list) const {
    const ordered_json* found = find(name);
    if (found != nullptr && !(list ? found->is_array() : found->is_object()))
      refuse(name, list ? "a list" : "an object");
    return found == nullptr ? std::string() : found->dump();
  }

  template <class Number>
  Number count(const char* name) const {
    const ordered_json* found = find(name);
    if (found == nullptr) return 0;
    if (!found->is_number_unsigned() ||
        found->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<Number>::max()))
      refuse(name, "a whole number that is not negative");
    return found->get<Number>();
  }

  bool flag(const char* name) const {
    const ordered_json* found = find(name);
    if (found != nullptr && !found->is_boolean()) refuse(name, "true or false");
    return found != nullptr && found->get<bool>();
  }

  std::vector<TokenId> tokens(const char* name) const {
    std::vector<TokenId> tokens;
    const ordered_json* found = find(name);
    if (found == nullptr) return tokens;
    if (!found->is_array()) refuse(name, "a list of token ids");
    tokens.reserve(found->size());
    for (const auto& token : *found) {
      if (!token.is_number_unsigned() || token.get<uint64_t>() > uint64_t{std::numeric_limits<TokenId>::max()})
        refuse(name, "a list of token ids");
      tokens.push_back(token.get<TokenId>());
    }
    return tokens;
  }

  const ordered_json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  [[noreturn]] void refuse(const char* name, std::string_view wanted) const {
    throw Error(ErrorKind::kBadInput, fmt::format("a teacher's row has a \"{}\" that is not {}", name, wanted), where_);
  }

 private:
  const ordered_json& object_;
  const std::string& where_;
};

void add_text(ordered_json& to, const char* name, const std::string& value) {
  if (!value.empty()) to[name] = value;
}

void add_json(ordered_json& to, const char* name, const std::string& value) {
  if (!value.empty()) to[name] = parse_ordered_json(value, name);
}

template <class T>
T value_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Bytes of a record with its head; k is at most kMaxTop, so nothing overflows.
uint64_t record_bytes(uint64_t k, uint64_t tokens) { return kHeadBytes + tokens * (6 * k + 2); }

std::string hex_of(const std::byte* key) {
  std::string text;
  for (size_t i = 0; i < kKeyBytes; ++i) text += fmt::format("{:02x}", static_cast<unsigned>(key[i]));
  return text;
}

float log_probability(const std::byte* at, const std::string& path) {
  const float value = half_to_float(value_at<uint16_t>(at));
  if (!(value <= 0)) throw Error(ErrorKind::kBadFile, "a probability is not in 0 to 1: the file is damaged", path);
  return value;
}

}  // namespace

TeacherRow read_teacher_row(std::string_view line, const std::string& where) {
  const ordered_json json = parse_ordered_json(line, where);
  TeacherRow row;
  if (!json.is_object()) throw Error(ErrorKind::kBadInput, "a teacher's row is a JSON object, and this is none", where);
  const Members members(json, where);
  row.key = members.text("key");
  if (!is_key(row.key)) members.refuse("key", "64 hexadecimal digits");
  row.id = members.text("id");
  row.messages = members.json("messages", true);
  if (row.messages.empty()) throw Error(ErrorKind::kBadInput, "a teacher's row has no \"messages\"", where);
  row.tools = members.json("tools", true);
  row.answer = members.text("answer");
  row.task = members.text("task");
  row.sample = members.count<int>("sample");
  row.seed = members.count<uint64_t>("seed");
  row.sampling = members.json("sampling", false);
  row.reasoning = members.text("reasoning");
  row.content = members.text("content");
  row.unclosed = members.flag("unclosed");
  row.finish_reason = members.text("finish_reason");
  row.tool_calls = members.json("tool_calls", true);
  row.prompt_ids = members.tokens("prompt_ids");
  row.token_ids = members.tokens("token_ids");
  row.prompt_tokens = members.count<int64_t>("prompt_tokens");
  row.completion_tokens = members.count<int64_t>("completion_tokens");
  row.failure = members.text("failure");
  row.detail = members.text("detail");
  row.attempts = members.count<int>("attempts");
  if (const ordered_json* teacher = members.find("teacher")) {
    if (!teacher->is_object()) members.refuse("teacher", "an object");
    const Members of(*teacher, where);
    row.teacher = {of.text("name"), of.text("model_sha256"), of.text("template_sha256"), of.text("vocabulary_sha256")};
  }
  row.top_k = members.count<int>("top_k");
  row.top_sha256 = members.text("top_sha256");
  return row;
}

std::string to_line(const TeacherRow& row) {
  assert(is_key(row.key));
  ordered_json json;
  json["key"] = row.key;
  add_text(json, "id", row.id);
  add_json(json, "messages", row.messages.empty() ? "[]" : row.messages);
  add_json(json, "tools", row.tools);
  add_text(json, "answer", row.answer);
  add_text(json, "task", row.task);
  json["sample"] = row.sample;
  json["seed"] = row.seed;
  add_json(json, "sampling", row.sampling.empty() ? "{}" : row.sampling);
  add_text(json, "reasoning", row.reasoning);
  if (!row.failed()) json["content"] = row.content;
  if (row.unclosed) json["unclosed"] = true;
  add_text(json, "finish_reason", row.finish_reason);
  add_json(json, "tool_calls", row.tool_calls);
  if (!row.prompt_ids.empty()) json["prompt_ids"] = row.prompt_ids;
  if (!row.token_ids.empty()) json["token_ids"] = row.token_ids;
  if (row.prompt_tokens != 0) json["prompt_tokens"] = row.prompt_tokens;
  if (row.completion_tokens != 0) json["completion_tokens"] = row.completion_tokens;
  add_text(json, "failure", row.failure);
  add_text(json, "detail", row.detail);
  if (row.attempts != 0) json["attempts"] = row.attempts;
  ordered_json teacher = ordered_json::object();
  add_text(teacher, "name", row.teacher.name);
  add_text(teacher, "model_sha256", row.teacher.model_sha256);
  add_text(teacher, "template_sha256", row.teacher.template_sha256);
  add_text(teacher, "vocabulary_sha256", row.teacher.vocabulary_sha256);
  json["teacher"] = std::move(teacher);
  if (row.top_k != 0) json["top_k"] = row.top_k;
  add_text(json, "top_sha256", row.top_sha256);
  // What a teacher says may be cut inside a character: U+FFFD there.
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

bool is_teacher_row(std::string_view line) {
  if (line.find("\"key\"") == std::string_view::npos || line.find("\"teacher\"") == std::string_view::npos)
    return false;
  try {
    const ordered_json json = parse_ordered_json(line, {});
    if (!json.is_object()) return false;
    const auto key = json.find("key"), teacher = json.find("teacher");
    return key != json.end() && key->is_string() && is_key(key->get_ref<const std::string&>()) &&
           teacher != json.end() && teacher->is_object() && json.contains("messages");
  } catch (const Error&) {
    return false;
  }
}

std::string to_bytes(const TopRecord& record) {
  const size_t tokens = record.tail.size();
  assert(is_key(record.key) && record.k > 0 && record.ids.size() == tokens * static_cast<size_t>(record.k) &&
         record.logp.size() == record.ids.size());
  std::string bytes;
  bytes.reserve(record_bytes(static_cast<uint64_t>(record.k), tokens));
  const auto put = [&](auto value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  // A server's sums may come out a little above ln 1.
  const auto put_half = [&](float value) { put(float_to_half(std::min(value, 0.0f))); };
  for (size_t i = 0; i < record.key.size(); i += 2)
    put(static_cast<uint8_t>(std::stoi(record.key.substr(i, 2), nullptr, 16)));
  put(static_cast<uint32_t>(record.k));
  put(static_cast<uint32_t>(tokens));
  for (const TokenId id : record.ids) put(static_cast<uint32_t>(id));
  for (const float value : record.logp) put_half(value);
  for (const float value : record.tail) put_half(value);
  return bytes;
}

struct TopFile::State {
  explicit State(const std::string& name) : path(name), file(name) {}

  std::string path;
  MappedFile file;
  std::unordered_map<std::string, std::span<const std::byte>> records;
  uint64_t whole = 0;
};

TopFile::TopFile(const std::string& path) : state_(std::make_unique<State>(path)) {
  const std::span<const std::byte> bytes = state_->file.bytes();
  const size_t shown = std::min(bytes.size(), kTopMagic.size());
  if (shown > 0 && std::memcmp(bytes.data(), kTopMagic.data(), shown) != 0) {
    throw Error(ErrorKind::kBadFile, "this is no file of a teacher's probabilities", path,
                "`fieldprint distil` writes one beside its rows: X.top for X.jsonl");
  }
  if (bytes.size() < kTopMagic.size()) return;  // a kill came before the first record
  uint64_t at = kTopMagic.size();
  while (bytes.size() - at >= kHeadBytes) {
    const std::byte* head = bytes.data() + at;
    const uint64_t k = value_at<uint32_t>(head + kKeyBytes), tokens = value_at<uint32_t>(head + kKeyBytes + 4);
    if (k == 0 || k > kMaxTop) {
      // After a crash of the machine a file may end in zeros that nobody wrote.
      if (std::all_of(head, bytes.data() + bytes.size(), [](std::byte b) { return b == std::byte{}; })) break;
      throw Error(ErrorKind::kBadFile, fmt::format("the record at byte {} has {} tokens a place: it is damaged", at, k),
                  path);
    }
    const uint64_t size = record_bytes(k, tokens);
    if (size > bytes.size() - at) break;
    state_->records[hex_of(head)] = bytes.subspan(at, size);  // a row asked for again after a kill: the later one
    at += size;
  }
  state_->whole = at;
}

TopFile::~TopFile() = default;

std::string_view TopFile::bytes(const std::string& key) const {
  const auto found = state_->records.find(key);
  if (found == state_->records.end()) return {};
  return {reinterpret_cast<const char*>(found->second.data()), found->second.size()};
}

uint64_t TopFile::whole_bytes() const { return state_->whole; }

std::string TopFile::sha256() const { return sha256_hex(state_->file.bytes().first(state_->whole)); }

std::optional<TopRecord> TopFile::find(const std::string& key) const {
  const auto found = state_->records.find(key);
  if (found == state_->records.end()) return std::nullopt;
  const std::byte* at = found->second.data() + kKeyBytes;
  const size_t k = value_at<uint32_t>(at), tokens = value_at<uint32_t>(at + 4);
  at += 8;
  TopRecord record{.key = key, .k = static_cast<int>(k), .ids = {}, .logp = {}, .tail = {}};
  record.ids.resize(tokens * k);
  record.logp.resize(tokens * k);
  record.tail.resize(tokens);
  for (TokenId& id : record.ids) {
    id = value_at<TokenId>(at);
    at += sizeof id;
    if (id < kNoToken) throw Error(ErrorKind::kBadFile, "a token id is negative: the file is damaged", state_->path);
  }
  for (std::vector<float>* values : {&record.logp, &record.tail}) {
    for (float& value : *values) {
      value = log_probability(at, state_->path);
      at += sizeof(uint16_t);
    }
  }
  return record;
}

std::string vocabulary_sha256(const Tokenizer& tokenizer) {
  Sha256 hash;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const std::string_view piece = tokenizer.piece(id);
    const auto length = static_cast<uint32_t>(piece.size());
    hash.update(std::as_bytes(std::span(&length, 1)));
    hash.update(std::as_bytes(std::span(piece)));
  }
  return hash.hex();
}

}  // namespace fieldprint
