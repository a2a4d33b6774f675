// Texts as vectors: what an encoder (BERT and its kin) makes of a text, so that texts of like meaning lie close
// together.
//
// Threads: an embedder belongs to one thread at a time. Different embedders of a model may be used from different
// threads; their steps take turns on the model's threads.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/progress.h"
#include "fieldprint/session.h"

namespace fieldprint {

// How the vectors of a text's tokens become one.
enum class Pooling {
  kModel,  // as the model's file says, which is what it was trained for
  kMean,   // the mean over all tokens
  kFirst,  // that of the first token, [CLS]
  kLast,   // that of the last token
};
std::string_view pooling_name(Pooling pooling);  // "model", "mean", "first", "last"
Pooling pooling_named(std::string_view name);    // throws Error kUsage
std::vector<std::string> pooling_names();

// Whether an embedder can be made of the model; sessions and schedulers then cannot.
bool is_encoder(const Model& model);

struct EmbedOptions {
  Pooling pooling = Pooling::kModel;
  bool normalize = true;  // to length 1, so that the dot product of two vectors is their cosine
  bool truncate = false;  // texts longer than the context lose their end; else they are an error
  int batch = 0;          // tokens that pass the model together, in whole texts; 0 = the fastest; never changes a bit
  SessionOptions session = {};  // executor, context, page size, type of keys and values
};

// Vectors have width() floats. A text's vector is the same bits in whatever company it passes, for any number of
// threads and on any instruction set. Special tokens are added as the vocabulary asks for them; names of such tokens
// inside a text are ordinary text.
class Embedder {
 public:
  // `model` is not null; the embedder keeps it. Throws Error kUnsupported for a model that is no encoder, kUsage for
  // options out of range.
  explicit Embedder(std::shared_ptr<const Model> model, const EmbedOptions& options = {});
  ~Embedder();
  Embedder(Embedder&&) noexcept;
  Embedder& operator=(Embedder&&) noexcept;

  int width() const;
  Pooling pooling() const;  // never kModel
  const Model& model() const;

  // [texts, width()]. Throws Error kLimit for a text that is longer than the context (unless truncated), with its
  // number and its tokens, before anything is computed; kLimit where `progress` (in tokens) returned false; kBadFile
  // for vectors that are not finite.
  std::vector<float> embed(std::span<const std::string> texts, const Progress& progress = {});
  std::vector<float> embed(std::string_view text);  // [width()]

  // The same of token ids, special ones included; at least one each. Throws Error kBadInput for an id outside the
  // vocabulary and for no ids at all.
  std::vector<float> embed_tokens(std::span<const std::vector<TokenId>> texts, const Progress& progress = {});

  // Token ids of a text as embed() takes them, truncated where that is asked for.
  std::vector<TokenId> tokens(std::string_view text) const;

  // The vector of every token, as the model gives it: neither pooled nor normalised. [tokens, width()]
  std::vector<float> token_vectors(std::span<const TokenId> tokens);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The cosine of two vectors of the same length; 0 where one is zero.
double cosine(std::span<const float> a, std::span<const float> b);

}  // namespace fieldprint
