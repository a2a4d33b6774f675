// `fieldprint embed`: texts to vectors, as JSON or for NumPy; or how alike texts are.
#include "fieldprint/embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Embed {
  ModelOptions model;
  EmbedOptions options;
  std::vector<std::string> texts;
  std::string file, out, format, pooling = std::string(pooling_name(Pooling::kModel));
  bool no_normalize = false, similarity = false, quiet = false;

  int operator()();
  std::vector<std::string> all_texts() const;
  std::string format_wanted() const;
};

// One text a line; the last newline ends the last line.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

std::vector<std::string> Embed::all_texts() const {
  std::vector<std::string> all, sources = texts;
  if (sources.empty() && file.empty()) sources = {"-"};
  const auto add_lines = [&all](const std::string& text) {
    for (std::string& line : lines_of(text)) all.push_back(std::move(line));
  };
  for (const std::string& text : sources) {
    if (text == "-") add_lines(read_input("`fieldprint embed \"some text\"`, or a text per line through a pipe"));
    else all.push_back(text);
  }
  if (!file.empty()) add_lines(read_file(file));
  if (all.empty()) throw Error(ErrorKind::kBadInput, "there is no text", file);
  for (std::string& text : all)
    if (repair_utf8(text) && !quiet) note("bytes of a text that are no UTF-8 count as U+FFFD");
  return all;
}

std::string Embed::format_wanted() const {
  if (!format.empty()) return format;
  for (const char* ending : {"npy", "json"})
    if (out.ends_with(fmt::format(".{}", ending))) return ending;
  return "jsonl";
}

// The shortest decimals that give the same floats back.
std::string vector_json(std::span<const float> vector) {
  std::string text = "[";
  for (size_t i = 0; i < vector.size(); ++i)
    fmt::format_to(std::back_inserter(text), "{}{}", i > 0 ? "," : "", vector[i]);
  return text + "]";
}

// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0
std::string npy_header(size_t rows, size_t columns) {
  static_assert(std::endian::native == std::endian::little, "the file is little-endian");
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  constexpr size_t kBefore = 10, kAlignment = 64;
  header.append(kAlignment - (kBefore + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string all("\x93NUMPY\x01\x00", 8);
  all += static_cast<char>(header.size() & 0xFF);
  all += static_cast<char>(header.size() >> 8);
  return all + header;
}

void print_similarity(const std::vector<std::string>& texts, std::span<const float> vectors, size_t width) {
  std::vector<std::pair<double, size_t>> all;
  const auto vector = [&](size_t i) { return vectors.subspan(i * width, width); };
  for (size_t i = 1; i < texts.size(); ++i) all.push_back({cosine(vector(0), vector(i)), i});
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [similar, i] : all) write_out(fmt::format("{:7.4f}  {}\n", similar, printable_line(texts[i])));
}

int Embed::operator()() {
  if (similarity && !out.empty())
    throw Error(ErrorKind::kUsage, "--similarity prints a list, it writes no vectors", "--out");
  if (similarity && !format.empty())
    throw Error(ErrorKind::kUsage, "--similarity prints a list, it writes no vectors", "--format");
  const SignalGuard guard;
  options.pooling = pooling_named(pooling);
  options.normalize = !no_normalize;
  options.session = model.session;
  const auto all = all_texts();
  if (similarity && all.size() < 2)
    throw Error(ErrorKind::kUsage, "--similarity compares the first text with others: give two or more");
  ModelOptions chosen = model;
  if (chosen.model.empty()) chosen.model = kDefaultEncoder;
  Embedder embedder(load_model(chosen), options);
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  const auto vectors = embedder.embed(all, bar.callback());
  bar.wipe();
  const auto width = static_cast<size_t>(embedder.width());
  if (similarity) {
    print_similarity(all, vectors, width);
    return kDone;
  }
  std::optional<AtomicFile> file_out;
  if (!out.empty() && out != "-") file_out.emplace(out);
  const auto put = [&](std::string_view bytes) {
    if (file_out) file_out->write(std::as_bytes(std::span(bytes)));
    else write_data(bytes);
  };
  const std::string kind = format_wanted();
  if (kind == "npy") {
    if (!file_out && out_is_terminal())
      throw Error(ErrorKind::kUsage, "a NumPy file is no text for a terminal", {}, "name a file with -o");
    put(npy_header(all.size(), width));
    put({reinterpret_cast<const char*>(vectors.data()), vectors.size() * sizeof(float)});
  } else {
    const bool lines = kind == "jsonl";
    if (!lines) {
      put(fmt::format("{{\"width\":{},\"pooling\":\"{}\",\"normalized\":{},\"vectors\":[\n", width,
                      pooling_name(embedder.pooling()), options.normalize));
    }
    for (size_t i = 0; i < all.size(); ++i) {
      const std::string vector = vector_json(std::span(vectors).subspan(i * width, width));
      if (lines) put(fmt::format("{{\"text\":{},\"vector\":{}}}\n", json_string(all[i]), vector));
      else put(fmt::format("{}{}\n", vector, i + 1 < all.size() ? "," : ""));
    }
    if (!lines) put("]}\n");
  }
  if (file_out) file_out->commit();
  return kDone;
}

}  // namespace

Action add_embed(CLI::App& app) {
  auto embed = std::make_shared<Embed>();
  add_texts(app, "TEXT", embed->texts, "TEXT", "The texts; without any, and in place of -, the lines of standard input")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_text(app, "--file", embed->file, "FILE", "Read one text per line from FILE; - for standard input")
      ->group("Input");
  add_flag(app, "--truncate", embed->options.truncate, "Leave out the end of texts that are longer than the context")
      ->group("Input");
  add_model(app, embed->model.model, kDefaultEncoder);
  add_choice(app, "--pooling", embed->pooling, pooling_names(),
             "How the vectors of a text's tokens become one; model = as it was trained")
      ->group("Vectors");
  add_flag(app, "--no-normalize", embed->no_normalize, "Leave vectors at the length that the model gives them")
      ->group("Vectors");
  add_flag(app, "--similarity", embed->similarity,
           "Print the cosine of each text with the first one, the most similar first")
      ->group("Vectors");
  add_text(app, "-o,--out", embed->out, "FILE", "Write to FILE: NumPy if it ends in .npy, JSON if in .json")
      ->group("Output");
  add_choice(app, "--format", embed->format, {"jsonl", "json", "npy"},
             "A JSON object per text and line, one for all, or NumPy float32 [texts, width]")
      ->group("Output");
  add_quiet(app, embed->quiet);
  add_adapters(app, embed->model.load);
  add_threads(app, embed->model.load);
  add_integer(app, "--batch", embed->options.batch, 0,
              "Tokens that pass the model together, in whole texts; 0 = what is fastest (does not change the vectors)")
      ->group("Engine");
  add_choice(app, "--executor", embed->model.session.executor, executor_names(),
             "run is the fast one; reference computes in float64, slowly")
      ->group("Engine");
  app.footer(
      "  fieldprint embed \"How do I reset my password?\"\n"
      "  fieldprint embed --file sentences.txt -o vectors.npy\n"
      "  fieldprint embed --similarity \"a cat\" \"a kitten\" \"a car\"");
  return [embed] { return (*embed)(); };
}

}  // namespace fieldprint::cli
