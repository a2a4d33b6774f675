#include "eval/requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

using Tokens = std::vector<TokenId>;

// What stands for "nothing came before".
TokenId first_token(const Tokenizer& tokenizer) {
  const TokenId token = tokenizer.bos() != kNoToken ? tokenizer.bos() : tokenizer.eos();
  if (token == kNoToken)
    throw Error(ErrorKind::kUnsupported, "the vocabulary has neither BOS nor EOS, so nothing can stand before a text");
  return token;
}

Tokens behind(const Tokens& whole, size_t begin) {
  return Tokens(whole.begin() + static_cast<ptrdiff_t>(std::min(begin, whole.size())), whole.end());
}

void move_space(TextPair& pair) {
  size_t end = pair.context.size();
  for (size_t before = end; end > 0 && jinja::is_space(jinja::decode_before(pair.context, before)); end = before)
    continue;
  pair.continuation.insert(0, pair.context, end);
  pair.context.resize(end);
}

// A model takes `most` tokens, of which the last scored one is not an input: what is too long loses its beginning, as
// much as a continuation of `longest` tokens asks for.
void fit(ScoreRequest& request, const std::string& continuation, size_t most, size_t longest) {
  if (request.continuation.empty())
    throw Error(ErrorKind::kBadInput, fmt::format("the answer '{}' adds no token to its context", continuation), {},
                "is the answer empty in the data, or the same as the end of the question?");
  if (request.continuation.size() > most) {
    throw Error(ErrorKind::kLimit,
                fmt::format("an answer of {} tokens does not fit a context of {}", request.continuation.size(), most),
                {}, "a larger --context, up to what the model was trained for, or a shorter answer");
  }
  const size_t room = most + 1 - std::min(std::max(longest, request.continuation.size()), most);
  request.shortened = request.context.size() > room;
  if (request.shortened) request.context = behind(request.context, request.context.size() - room);
}

size_t common_beginning(const std::vector<Tokens>& all) {
  size_t common = all[0].size();
  for (const Tokens& each : all) {
    const auto end = all[0].begin() + static_cast<ptrdiff_t>(std::min(common, each.size()));
    common = static_cast<size_t>(std::mismatch(all[0].begin(), end, each.begin()).first - all[0].begin());
  }
  return common;
}

ScoreRequest split(const Tokens& whole, size_t begin, size_t end) {
  return {Tokens(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(begin)),
          Tokens(whole.begin() + static_cast<ptrdiff_t>(begin), whole.begin() + static_cast<ptrdiff_t>(end))};
}

Tokens encode_plain(const Tokenizer& tokenizer, const std::string& text) {
  Tokens tokens = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (tokenizer.adds_bos() && tokenizer.bos() != kNoToken) tokens.insert(tokens.begin(), tokenizer.bos());
  return tokens;
}

}  // namespace

std::vector<ScoreRequest> encode_requests(EvalStyle style, const Tokenizer& tokenizer, std::span<const TextPair> pairs,
                                          bool templated, int most) {
  const auto encode = [&](const std::string& text) {
    // A template writes its BOS itself; encode_prompt() never doubles it, but mlx_lm adds none either way.
    if (style == EvalStyle::kMlx && templated)
      return tokenizer.encode(text, {.add_special = false, .parse_special = true});
    return encode_prompt(tokenizer, text);
  };
  std::vector<ScoreRequest> requests;
  std::string last;  // most choices have one context
  Tokens encoded;
  for (TextPair pair : pairs) {
    if (style == EvalStyle::kLmEval) move_space(pair);
    ScoreRequest request;
    if (pair.context.empty()) {
      request.context = {first_token(tokenizer)};
      request.continuation = tokenizer.encode(pair.continuation, {.add_special = false, .parse_special = true});
      if (!request.continuation.empty() && request.continuation[0] == request.context[0])
        request.continuation.erase(request.continuation.begin());
    } else {
      if (pair.context != last) encoded = encode(last = pair.context);
      request.context = encoded;
      request.continuation = behind(encode(pair.context + pair.continuation), request.context.size());
      if (request.context.empty()) request.context = {first_token(tokenizer)};
    }
    requests.push_back(std::move(request));
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    // mlx_lm cuts a context once, for the longest of its continuations.
    size_t longest = 0;
    for (size_t j = 0; style == EvalStyle::kMlx && j < pairs.size(); ++j)
      if (pairs[j].context == pairs[i].context) longest = std::max(longest, requests[j].continuation.size());
    fit(requests[i], pairs[i].continuation, static_cast<size_t>(most), longest);
  }
  return requests;
}

std::vector<ScoreRequest> llama_cpp_requests(const Tokenizer& tokenizer, std::span<const TextPair> pairs, bool tails,
                                             int most) {
  constexpr size_t kFewTokens = 3;
  std::vector<Tokens> wholes;
  for (const TextPair& pair : pairs) wholes.push_back(encode_plain(tokenizer, pair.context + pair.continuation));
  size_t common = common_beginning(wholes), least = wholes[0].size();
  for (const Tokens& whole : wholes) least = std::min(least, whole.size());
  // A first token has nothing before it, and a choice that others begin with would have nothing of its own.
  if (least > 0) common = std::min(common, least - 1);
  if (common == 0) {
    for (Tokens& whole : wholes) whole.insert(whole.begin(), first_token(tokenizer));
    common = 1;
  }
  const bool name_too = std::any_of(wholes.begin(), wholes.end(),
                                    [&](const Tokens& whole) { return whole.size() - common <= kFewTokens; });
  std::vector<ScoreRequest> requests;
  for (size_t i = 0; i < pairs.size(); ++i) {
    size_t begin = common, end = wholes[i].size();
    if (tails) {
      if (!name_too) begin = std::min(encode_plain(tokenizer, pairs[i].context).size(), end - 1);
      if (end - begin > 1) --end;
    }
    requests.push_back(split(wholes[i], begin, end));
    fit(requests.back(), pairs[i].continuation, static_cast<size_t>(most), 0);
  }
  return requests;
}

std::vector<ScoreRequest> rolling_requests(const Tokenizer& tokenizer, const std::string& text, int most) {
  const Tokens tokens = encode_prompt(tokenizer, text);
  if (tokens.empty()) throw Error(ErrorKind::kBadInput, "the text has no token", {}, "leave the row out");
  const auto window = static_cast<size_t>(most);
  std::vector<ScoreRequest> requests;
  for (size_t begin = 0; begin < tokens.size(); begin += window) {
    const size_t end = std::min(begin + window, tokens.size());
    if (begin == 0) requests.push_back({{first_token(tokenizer)}, split(tokens, 0, end).continuation});
    else {
      // The last window is as long as the others, so that its tokens have more before them.
      const size_t from = end > window ? end - window - 1 : 0;
      requests.push_back(
          {Tokens(tokens.begin() + static_cast<ptrdiff_t>(from), tokens.begin() + static_cast<ptrdiff_t>(begin)),
           split(tokens, begin, end).continuation});
    }
  }
  return requests;
}

}  // namespace fieldprint
