// POST /v1/embeddings, https://platform.openai.com/docs/api-reference/embeddings
#include <fmt/format.h>
#include <openssl/evp.h>

#include <bit>

#include "server/endpoint.h"
#include "server/openai.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian float32");

std::string base64(std::span<const float> vector) {
  const auto bytes = std::as_bytes(vector);
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

std::vector<std::vector<TokenId>> read_inputs(const Fields& fields, Embedder& embedder) {
  const Json* input = fields.find("input");
  if (input == nullptr) fields.refuse("input", "is missing");
  const int vocabulary = embedder.model().tokenizer().size();
  std::vector<std::vector<TokenId>> all;
  const auto add = [&](const Json& entry) {
    if (entry.is_string()) {
      all.push_back(embedder.tokens(entry.get<std::string>()));
      return;
    }
    if (!entry.is_array() || entry.empty()) fields.refuse("input", "should hold texts, or lists of token ids");
    std::vector<TokenId> tokens;
    for (const Json& token : entry) {
      if (!token.is_number_integer() || token.get<int64_t>() < 0 || token.get<int64_t>() >= vocabulary)
        fields.refuse("input", "should hold texts, or ids of the model's vocabulary");
      tokens.push_back(token.get<TokenId>());
    }
    all.push_back(std::move(tokens));
  };
  if (input->is_string() || (input->is_array() && !input->empty() && input->front().is_number())) {
    add(*input);
  } else if (input->is_array() && !input->empty()) {
    if (input->size() > 2048) fields.refuse("input", "has more than 2048 entries");
    for (const Json& entry : *input) add(entry);
  } else {
    fields.refuse("input", "should be a text, or a list of texts");
  }
  return all;
}

}  // namespace

void embeddings(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  const std::string format = fields.string("encoding_format").value_or("float");
  if (format != "float" && format != "base64") fields.refuse("encoding_format", "should be float or base64");
  auto [lock, embedder] = service.encoder();
  const auto width = static_cast<size_t>(embedder.width());
  if (const auto dimensions = fields.integer("dimensions"); dimensions && *dimensions != embedder.width())
    fields.refuse("dimensions", fmt::format("should be {}, the model's own", embedder.width()));
  const auto inputs = read_inputs(fields, embedder);
  const std::vector<float> vectors = embedder.embed_tokens(inputs);
  int tokens = 0;
  Json data = Json::array();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto vector = std::span(vectors).subspan(i * width, width);
    Json entry = {{"object", "embedding"}, {"index", i}};
    if (format == "base64") {
      entry["embedding"] = base64(vector);
    } else {
      entry["embedding"] = Json::array();
      for (const float value : vector) entry["embedding"].push_back(value);
    }
    data.push_back(std::move(entry));
    tokens += static_cast<int>(inputs[i].size());
  }
  send_json(reply, {{"object", "list"},
                    {"data", data},
                    {"model", service.model_name},
                    {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}});
}

}  // namespace fieldprint::server::endpoints_of
