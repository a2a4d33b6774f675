// `fieldprint tokenize` and `fieldprint detokenize`: text to ids and back, whole or line by line.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "files.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

using nlohmann::json;

json parsed_line(const std::string& line, int number) {
  check_json(line, fmt::format("standard input, line {}", number));
  return json::parse(line);
}

// A program that feeds us line by line waits for each answer.
void answer_line(const std::string& text) {
  write_data(text + "\n");
  flush_out();
}

struct Tokenize {
  std::string model, text;
  bool plain = false, jsonl = false, pieces = false;
  const CLI::Option* text_given = nullptr;

  int operator()() const {
    if (jsonl && (text_given->count() > 0 || pieces))
      throw Error(ErrorKind::kUsage, "--jsonl reads standard input and writes ids; it takes neither TEXT nor --pieces");
    const auto tokenizer = load_tokenizer(model_path(model));
    const EncodeOptions options{.add_special = !plain, .parse_special = !plain};
    if (jsonl) {
      each_line("each line must be a JSON string, as in: echo '\"Hello\"' | fieldprint tokenize --jsonl",
                [&](const std::string& line, int number) {
                  const json value = parsed_line(line, number);
                  if (!value.is_string())
                    throw Error(ErrorKind::kBadInput, "is not a JSON string",
                                fmt::format("standard input, line {}", number));
                  answer_line(json(tokenizer->encode(value.get_ref<const std::string&>(), options)).dump());
                });
      return kDone;
    }
    const auto ids = tokenizer->encode(text_given->count() > 0 && text != "-"
                                           ? text
                                           : read_input("`fieldprint tokenize \"some text\"`, or text through a pipe"),
                                       options);
    if (!pieces) {
      write_out(fmt::format("{}\n", fmt::join(ids, " ")));
      return kDone;
    }
    for (const TokenId id : ids)
      write_data(fmt::format("{:>7}  {}\n", id, json_string(std::string(tokenizer->piece(id)))));
    return kDone;
  }
};

struct Detokenize {
  std::string model;
  std::vector<std::string> words;
  bool jsonl = false, no_special = false;

  int operator()() const {
    if (jsonl && !words.empty())
      throw Error(ErrorKind::kUsage, "--jsonl reads standard input; it takes no ids as arguments");
    const auto tokenizer = load_tokenizer(model_path(model));
    const auto text_of = [&](const std::vector<TokenId>& ids, const std::string& where) {
      for (const TokenId id : ids)
        if (id >= tokenizer->size())
          throw Error(ErrorKind::kBadInput,
                      fmt::format("token {} is not in the vocabulary of {}", id, tokenizer->size()), where);
      return tokenizer->decode(ids, !no_special);
    };
    if (jsonl) {
      each_line("each line must be a JSON array of ids, as in: echo '[1, 2]' | fieldprint detokenize --jsonl",
                [&](const std::string& line, int number) {
                  const std::string where = fmt::format("standard input, line {}", number);
                  const json value = parsed_line(line, number);
                  std::vector<TokenId> ids;
                  bool sound = value.is_array();
                  for (const auto& id : value) {
                    sound = sound && id.is_number_integer() && id >= 0 && id <= std::numeric_limits<TokenId>::max();
                    if (sound) ids.push_back(id.get<TokenId>());
                  }
                  if (!sound) throw Error(ErrorKind::kBadInput, "is not a JSON array of token ids", where);
                  answer_line(json_string(text_of(ids, where), true));
                });
      return kDone;
    }
    const bool piped = words.empty() || words == std::vector<std::string>{"-"};
    std::string list = piped ? read_input("`fieldprint detokenize 1 2 3`, or ids through a pipe") : "";
    for (const auto& word : words) list += piped ? "" : word + " ";
    const std::string text = text_of(parse_ids(list, piped ? "standard input" : "ids"), "");
    // Byte for byte, so that it is the inverse of tokenize; only a terminal gets its prompt on a new line.
    write_data(text);
    if (out_is_terminal()) write_out("\n");
    return kDone;
  }
};

}  // namespace

Action add_tokenize(CLI::App& app) {
  auto tokenize = std::make_shared<Tokenize>();
  tokenize->text_given =
      add_text(app, "TEXT", tokenize->text, "TEXT", "The text; without it, or for -, standard input");
  add_model(app, tokenize->model);
  add_flag(app, "--plain", tokenize->plain, "No BOS or EOS, and special tokens in the text as ordinary text")
      ->group("Output");
  add_flag(app, "--jsonl", tokenize->jsonl, "Read a JSON string per line, write a JSON array of ids per line")
      ->group("Output");
  add_flag(app, "--pieces", tokenize->pieces, "One token per line, with its text")->group("Output");
  app.footer(
      "  fieldprint tokenize \"Hello world\"\n"
      "  fieldprint tokenize --pieces < letter.txt\n"
      "  fieldprint tokenize --plain < letter.txt | fieldprint detokenize");
  return [tokenize] { return (*tokenize)(); };
}

Action add_detokenize(CLI::App& app) {
  auto detokenize = std::make_shared<Detokenize>();
  add_texts(app, "ID", detokenize->words, "ID", "Token ids; without them, or for -, standard input")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_model(app, detokenize->model);
  add_flag(app, "--no-special", detokenize->no_special, "Leave special tokens out")->group("Output");
  add_flag(app, "--jsonl", detokenize->jsonl, "Read a JSON array of ids per line, write a JSON string per line")
      ->group("Output");
  app.footer(
      "  fieldprint detokenize 19556 905\n"
      "  fieldprint tokenize --jsonl < texts.jsonl | fieldprint detokenize --jsonl");
  return [detokenize] { return (*detokenize)(); };
}

}  // namespace fieldprint::cli
