#include "train/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <variant>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "train/distilled.h"

namespace fieldprint {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// ---- Reading

struct ReadRow {
  std::vector<Example> examples;
  std::optional<RowError> error;
  bool is_text = false, is_teacher = false;
  std::string prompt;  // of a teacher's row
  MaskNotes notes;
  int64_t truncated = 0;
};

void truncate(Example& example, size_t most) {
  example.tokens.resize(most);
  example.weights.resize(most);
  if (example.k == 0) return;
  const auto learned = static_cast<size_t>(
      std::count_if(example.weights.begin(), example.weights.end(), [](float w) { return w != 0; }));
  example.top_ids.resize(learned * static_cast<size_t>(example.k));
  example.top_logp.resize(example.top_ids.size());
  example.top_tail.resize(learned);
}

// A document too long: of a text all is learned, so its pieces are too.
void cut_text(std::vector<Example>& examples, size_t most) {
  const Example whole = std::move(examples[0]);
  examples.clear();
  for (size_t at = 0; at + 1 < whole.tokens.size();
       at += most - 1) {  // a piece begins with what the last one ended with
    const size_t end = std::min(at + most, whole.tokens.size());
    Example& piece = examples.emplace_back();
    piece.tokens.assign(whole.tokens.begin() + static_cast<std::ptrdiff_t>(at),
                        whole.tokens.begin() + static_cast<std::ptrdiff_t>(end));
    piece.weights.assign(whole.weights.begin() + static_cast<std::ptrdiff_t>(at),
                         whole.weights.begin() + static_cast<std::ptrdiff_t>(end));
    piece.weights[0] = 0;
  }
}

bool is_plain_text(const std::string& path) { return path.ends_with(".txt") || path.ends_with(".md"); }

TeacherRow teacher_row(std::string_view line) {
  try {
    return read_teacher_row(line, {});
  } catch (const Error& error) {
    throw RowError{RowFault::kShape, error.what()};
  }
}

ReadRow read_examples(std::string_view line, bool plain, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                      const DatasetOptions& options, const TeacherLessons* lessons) {
  ReadRow read;
  const auto most = static_cast<size_t>(options.max_tokens);
  try {
    const MaskOptions masking{.specials = options.specials};
    if (lessons != nullptr && is_teacher_row(line)) {
      read.is_teacher = true;
      const TeacherRow row = teacher_row(line);
      read.prompt = row.messages + row.tools;
      read.examples = lessons->examples(row, masking, read.notes);
    } else {
      const Row row = plain ? text_row(line) : read_row(line, {.raw = options.raw});
      read.examples = mask_row(row, tokenizer, chat_template, masking, &read.notes);
      read.is_text = row.messages.empty() && row.before.empty();
    }
    if (read.is_text && read.examples[0].tokens.size() > most) cut_text(read.examples, most);
    for (Example& example : read.examples) {
      if (example.tokens.size() <= most) continue;
      truncate(example, most);
      ++read.truncated;
    }
    std::erase_if(read.examples, [](const Example& example) { return example.weight() == 0; });
    if (read.examples.empty()) {
      throw RowError{RowFault::kTooLong,
                     fmt::format("nothing that is learned is among its first {} tokens", options.max_tokens)};
    }
  } catch (const RowError& error) {
    read.error = error;
    read.examples.clear();
  } catch (const Error& error) {
    read.error = RowError{RowFault::kTemplate, error.what()};
    read.examples.clear();
  }
  return read;
}

std::vector<std::pair<std::string_view, int64_t>> lines_of(std::string_view text) {
  std::vector<std::pair<std::string_view, int64_t>> lines;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.emplace_back(line, number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// A file of plain text is one row, whose text is the file.
std::vector<std::pair<std::string_view, int64_t>> rows_of(const std::string& path, std::string_view text) {
  if (!is_plain_text(path)) return lines_of(text);
  if (text.empty()) return {};
  return {{text, 1}};
}

// ---- The cache: a line of counts as CBOR would do as well; these are plain little-endian arrays behind a magic, with
// SHA-256 of all at the end. It is made and read on one machine, and made anew when it does not fit.

constexpr std::string_view kMagic = "FPTOKENS3";

// What the tokens depend on.
std::string cache_key(std::string_view data, bool plain, const GgufFile& model, const ChatTemplate* chat_template,
                      const DatasetOptions& options, const std::string& lessons) {
  Sha256 hash;
  hash.update(bytes_of(fmt::format("{} {}", kMagic, kRowFaults)));  // the form: a report counts each fault
  hash.update(bytes_of(fmt::format("{} {} {} {} {}\n", plain, options.max_tokens, options.raw, options.specials,
                                   chat_template != nullptr ? chat_template->source() : "")));
  for (const auto& [key, value] : model.metadata()) {
    if (!key.starts_with("tokenizer.ggml.")) continue;
    hash.update(bytes_of(fmt::format("\n{}\n", key)));
    if (const auto* array = std::get_if<GgufArray>(&value.value)) {
      for (const std::string_view text : array->strings)
        hash.update(bytes_of(fmt::format("{} {}\n", text.size(), text)));
      for (uint64_t i = 0; array->kind != GgufKind::kString && i < array->count; ++i)
        hash.update(bytes_of(fmt::format("{} ", array->number(i))));
    } else if (const auto* text = std::get_if<std::string_view>(&value.value)) {
      hash.update(bytes_of(*text));
    } else {
      std::visit(
          [&](const auto& number) {
            if constexpr (std::is_arithmetic_v<std::decay_t<decltype(number)>>)
              hash.update(bytes_of(fmt::format("{}", number)));
          },
          value.value);
    }
  }
  hash.update(bytes_of(fmt::format("\n{}\ndata\n", lessons)));
  hash.update(bytes_of(data));
  return hash.hex();
}

class Writer {
 public:
  explicit Writer(AtomicFile& file) : file_(file) {}
  void bytes(std::span<const std::byte> all) {
    hash_.update(all);
    file_.write(all);
  }
  void number(int64_t value) { bytes(std::as_bytes(std::span(&value, 1))); }
  void text(std::string_view value) {
    number(static_cast<int64_t>(value.size()));
    bytes(bytes_of(value));
  }
  void finish() {
    file_.write(hash_.hex());
    file_.commit();
  }

 private:
  AtomicFile& file_;
  Sha256 hash_;
};

// The writer's counterpart. Its bytes have been found to be those that were written, so nothing is checked here.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}
  std::span<const std::byte> bytes(size_t count) {
    const auto taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  int64_t number() {
    int64_t value;
    std::memcpy(&value, bytes(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto all = bytes(static_cast<size_t>(number()));
    return {reinterpret_cast<const char*>(all.data()), all.size()};
  }
  template <class T>
  void array(std::vector<T>& values, int64_t count) {
    values.resize(static_cast<size_t>(count));
    std::memcpy(values.data(), bytes(values.size() * sizeof(T)).data(), values.size() * sizeof(T));
  }

 private:
  std::span<const std::byte> left_;
};

// Calls visit(number) for each count of the report, to be written or read.
template <class Report, class Visit>
void each_count(Report& report, Visit visit) {
  for (auto* count :
       {&report.rows, &report.tokens, &report.learned, &report.turns, &report.truncated, &report.thoughts_dropped,
        &report.thoughts_unopened, &report.ended_by_eos, &report.teacher, &report.foreign_prompts})
    visit(*count);
  for (auto& fault : report.faults) visit(fault.rows), visit(fault.first);
}

void write_cache(const std::string& path, const Dataset& dataset) {
  AtomicFile file(path);
  Writer out(file);
  out.bytes(bytes_of(kMagic));
  each_count(dataset.report, [&](int64_t count) { out.number(count); });
  for (const FaultCount& fault : dataset.report.faults) out.text(fault.detail);
  out.number(static_cast<int64_t>(dataset.examples.size()));
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    out.number(dataset.lines[i]);
    out.number(dataset.groups[i]);
    out.number(static_cast<int64_t>(dataset.examples[i].tokens.size()));
    out.bytes(bytes_of(dataset.examples[i].tokens));
    out.bytes(bytes_of(dataset.examples[i].weights));
    out.number(dataset.examples[i].k);
    if (dataset.examples[i].k == 0) continue;
    out.number(static_cast<int64_t>(dataset.examples[i].top_tail.size()));
    out.bytes(bytes_of(dataset.examples[i].top_ids));
    out.bytes(bytes_of(dataset.examples[i].top_logp));
    out.bytes(bytes_of(dataset.examples[i].top_tail));
  }
  out.finish();
}

// False where there is none that is whole.
bool read_cache(const std::string& path, Dataset& dataset) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const MappedFile file(path);
  constexpr size_t kHash = 64;
  if (file.bytes().size() < kMagic.size() + kHash) return false;
  const auto all = file.bytes().first(file.bytes().size() - kHash);
  const std::string_view hash(reinterpret_cast<const char*>(all.data() + all.size()), kHash);
  if (sha256_hex(all) != hash) return false;
  Reader in(all);
  in.bytes(kMagic.size());
  each_count(dataset.report, [&](int64_t& count) { count = in.number(); });
  for (FaultCount& fault : dataset.report.faults) fault.detail = in.text();
  const int64_t count = in.number();
  for (int64_t i = 0; i < count; ++i) {
    dataset.lines.push_back(in.number());
    dataset.groups.push_back(in.number());
    Example& example = dataset.examples.emplace_back();
    const int64_t tokens = in.number();
    in.array(example.tokens, tokens);
    in.array(example.weights, tokens);
    example.k = static_cast<int>(in.number());
    if (example.k == 0) continue;
    const int64_t learned = in.number();
    in.array(example.top_ids, learned * example.k);
    in.array(example.top_logp, learned * example.k);
    in.array(example.top_tail, learned);
  }
  dataset.report.cached = true;
  return true;
}

[[noreturn]] void refuse_first(const std::string& path, const DatasetReport& report, bool strict) {
  const FaultCount* first = nullptr;
  int64_t rows = 0;
  for (const FaultCount& fault : report.faults) {
    rows += fault.rows;
    if (fault.rows > 0 && (first == nullptr || fault.first < first->first)) first = &fault;
  }
  if (first == nullptr) throw Error(ErrorKind::kBadInput, "there is no row in it", path);
  throw Error(ErrorKind::kBadInput, first->detail, fmt::format("{}:{}", path, first->first),
              !strict     ? "no row of it can be learned from; docs/training.md lists the forms of a row"
              : rows == 1 ? "mend it, or leave --strict away to go on without it"
                          : fmt::format("{} rows are faulty; without --strict they are left out", rows));
}

}  // namespace

Dataset read_dataset(const std::string& path, const GgufFile& model, const Tokenizer& tokenizer,
                     const ChatTemplate* chat_template, const DatasetOptions& options, ThreadPool& pool) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  // Texts have no teacher, and models that are no chat models may learn from them.
  std::optional<TeacherLessons> lessons;
  if (!is_plain_text(path)) lessons.emplace(options.learn, tokenizer, chat_template, path);
  std::string cached;
  Dataset dataset;
  if (!options.cache.empty()) {
    make_folder(options.cache);
    cached = fmt::format("{}/{}.tokens", options.cache,
                         cache_key(text, is_plain_text(path), model, chat_template, options,
                                   lessons ? lessons->fingerprint() : std::string()));
  }
  if (cached.empty() || !read_cache(cached, dataset)) {
    const auto lines = rows_of(path, text);
    std::vector<ReadRow> rows(lines.size());
    pool.run(static_cast<int64_t>(lines.size()), [&](int64_t i, int) {
      rows[static_cast<size_t>(i)] = read_examples(lines[static_cast<size_t>(i)].first, is_plain_text(path), tokenizer,
                                                   chat_template, options, lessons ? &*lessons : nullptr);
    });
    DatasetReport& report = dataset.report;
    report.rows = static_cast<int64_t>(rows.size());
    // A teacher's answers to one prompt are one group, wherever they stand in the file.
    std::vector<std::vector<size_t>> groups;
    std::map<std::string_view, size_t> group_of;
    for (size_t i = 0; i < rows.size(); ++i) {
      const ReadRow& row = rows[i];
      if (row.error) {
        FaultCount& fault = report.faults[static_cast<size_t>(row.error->fault)];
        if (fault.rows++ == 0) fault.first = lines[i].second, fault.detail = row.error->detail;
        continue;
      }
      size_t group = groups.size();
      if (row.is_teacher) group = group_of.try_emplace(row.prompt, group).first->second;
      if (group == groups.size()) groups.emplace_back();
      groups[group].push_back(i);
    }
    for (const std::vector<size_t>& members : groups) {
      int64_t group = dataset.groups.empty() ? 0 : dataset.groups.back() + 1;
      for (const size_t i : members) {
        ReadRow& row = rows[i];
        report.turns += row.notes.turns;
        report.thoughts_dropped += row.notes.thoughts_dropped;
        report.thoughts_unopened += row.notes.thoughts_unopened;
        report.ended_by_eos += row.notes.ended_by_eos;
        report.foreign_prompts += row.notes.foreign_prompts;
        report.teacher += row.is_teacher;
        report.truncated += row.truncated;
        for (Example& example : row.examples) {
          dataset.groups.push_back(row.is_text ? group++ : group);
          report.tokens += static_cast<int64_t>(example.tokens.size());
          report.learned += std::count(example.weights.begin(), example.weights.end(), 1.0f);
          dataset.examples.push_back(std::move(example));
          dataset.lines.push_back(lines[i].second);
        }
      }
    }
    if (!cached.empty()) write_cache(cached, dataset);
  }
  const bool faulty = std::any_of(dataset.report.faults.begin(), dataset.report.faults.end(),
                                  [](const FaultCount& fault) { return fault.rows > 0; });
  const FaultCount& foreign = dataset.report.faults[static_cast<size_t>(RowFault::kForeignIds)];
  if (foreign.rows > 0) {
    throw Error(ErrorKind::kBadInput, foreign.detail, fmt::format("{}:{}", path, foreign.first),
                "--learn answer or trace learns from the texts, whatever the vocabulary");
  }
  if (dataset.examples.empty() || (options.strict && faulty)) refuse_first(path, dataset.report, options.strict);
  return dataset;
}

std::string dataset_fingerprint(const Dataset& dataset) {
  Sha256 hash;
  for (const Example& example : dataset.examples) {
    const auto count = static_cast<int64_t>(example.tokens.size());
    hash.update(std::as_bytes(std::span(&count, 1)));
    hash.update(bytes_of(example.tokens));
    hash.update(bytes_of(example.weights));
    if (example.k == 0) continue;
    hash.update(bytes_of(example.top_ids));
    hash.update(bytes_of(example.top_logp));
    hash.update(bytes_of(example.top_tail));
  }
  return hash.hex();
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ErrorKind::kIo, fmt::format("the folder cannot be made: {}", error.message()), path);
}

Dataset split_off(Dataset& train, double share, uint64_t seed) {
  Dataset off, kept;
  for (size_t begin = 0, end = 0; begin < train.examples.size(); begin = end) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(&seed, 1)));
    for (; end < train.examples.size() && train.groups[end] == train.groups[begin]; ++end)
      hash.update(bytes_of(train.examples[end].tokens));
    const auto digest = hash.digest();
    uint64_t number = 0;
    std::memcpy(&number, digest.data(), sizeof number);
    Dataset& to = static_cast<double>(number >> 11) * 0x1p-53 < share ? off : kept;
    for (size_t i = begin; i < end; ++i) {
      to.examples.push_back(std::move(train.examples[i]));
      to.lines.push_back(train.lines[i]);
      to.groups.push_back(train.groups[i]);
    }
  }
  kept.report = train.report;
  train = std::move(kept);
  return off;
}

}  // namespace fieldprint
