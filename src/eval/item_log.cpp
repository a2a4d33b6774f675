#include "eval/item_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error(ErrorKind::kIo, fmt::format("cannot {}: {}", what, std::strerror(errno)), path);
}

Json to_json(const EvalTask& task, const EvalWork& work) {
  Json line = {{"key", work.key}, {"task", task.name}, {"doc_id", work.id}};
  const EvalOutcome& outcome = work.outcome;
  if (task.kind == EvalKind::kGenerate) {
    const EvalAnswer& answer = outcome.answer;
    line["answer"] = {{"text", answer.text},
                      {"raw", answer.raw},
                      {"cut", answer.cut},
                      {"unclosed", answer.unclosed},
                      {"shortened", answer.shortened},
                      {"prompt_tokens", answer.prompt_tokens},
                      {"tokens", answer.tokens}};
    return line;
  }
  Json sums = Json::array(), greedy = Json::array();
  for (const RequestScore& score : outcome.scores) {
    sums.push_back(score.log_likelihood);
    greedy.push_back(score.greedy);
  }
  line["log_likelihoods"] = std::move(sums);
  line["greedy"] = std::move(greedy);
  line["tokens"] = outcome.tokens;
  return line;
}

int tokens_of(const Json& count) {
  if (!count.is_number_integer() || count < 0 || count > std::numeric_limits<int>::max())
    throw Error(ErrorKind::kBadInput, "a number of tokens that is none");
  return count.get<int>();
}

// Throws Json::exception or Error for what no log of ours has.
EvalOutcome from_json(const Json& line) {
  EvalOutcome outcome;
  if (const auto answer = line.find("answer"); answer != line.end()) {
    outcome.written = true;
    outcome.answer = {.text = answer->at("text").get<std::string>(),
                      .raw = answer->at("raw").get<std::string>(),
                      .cut = answer->at("cut").get<bool>(),
                      .unclosed = answer->at("unclosed").get<bool>(),
                      .prompt_tokens = tokens_of(answer->at("prompt_tokens")),
                      .reused_tokens = 0,  // of that run
                      .tokens = tokens_of(answer->at("tokens")),
                      .shortened = answer->value("shortened", false)};
    return outcome;
  }
  const Json &sums = line.at("log_likelihoods"), &greedy = line.at("greedy"), &tokens = line.at("tokens");
  if (greedy.size() != sums.size() || tokens.size() != sums.size())
    throw Error(ErrorKind::kBadInput, "lists of different lengths");
  for (size_t i = 0; i < sums.size(); ++i) {
    const Json& sum = sums.at(i);
    if (!sum.is_number() || !std::isfinite(sum.get<double>()))
      throw Error(ErrorKind::kBadInput, "a log-likelihood that is none");
    outcome.scores.push_back({sum.get<double>(), greedy.at(i).get<bool>()});
    outcome.tokens.push_back(tokens_of(tokens.at(i)));
  }
  return outcome;
}

// Bytes that are not UTF-8, which an answer may have, become U+FFFD.
std::string line_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

ItemLog::ItemLog(const std::string& folder) {
  if (folder.empty()) return;
  path_ = (fs::path(folder) / "items.jsonl").string();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw Error(ErrorKind::kIo, "the folder cannot be made: " + failed.message(), folder);
  file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file_) fail(path_, "open the file");
  const MappedFile old(path_);
  std::string_view text(reinterpret_cast<const char*>(old.bytes().data()), old.bytes().size());
  if (!text.empty() && !text.ends_with('\n') && ::write(file_.get(), "\n", 1) != 1) fail(path_, "write");
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    try {
      const Json line = parse_ordered_json(text.substr(0, end), path_);
      known_[line.at("key").get<std::string>()] = from_json(line);
    } catch (const Error&) {  // half a line
      ++passed_over_;
    } catch (const Json::exception&) {
      ++passed_over_;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

const EvalOutcome* ItemLog::find(const std::string& key) const {
  const auto found = known_.find(key);
  return found == known_.end() ? nullptr : &found->second;
}

void ItemLog::add(const EvalTask& task, const EvalWork& work) {
  if (!file_) return;
  const std::string line = line_of(to_json(task, work));
  for (size_t at = 0; at < line.size();) {  // one write, but where a signal or a full disk comes between
    const ssize_t written = ::write(file_.get(), line.data() + at, line.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "write");
    at += static_cast<size_t>(written);
  }
}

std::string item_key(std::string_view setting, const EvalTask& task, const EvalWork& work) {
  Json request = {{"setting", setting}, {"task", task.name}, {"version", task.version}, {"doc_id", work.id}};
  for (const TextPair& pair : work.pairs) request["pairs"].push_back({pair.context, pair.continuation});
  if (task.kind == EvalKind::kGenerate) {
    request["prompt"] = work.prompt.text;
    request["until"] = work.prompt.until;
    request["max_tokens"] = work.prompt.max_tokens;
  }
  const std::string text = line_of(request);
  return sha256_hex(std::as_bytes(std::span(text)));
}

}  // namespace fieldprint
