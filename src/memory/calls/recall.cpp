// recall: what is remembered of a question, as quoted data with its label and the place of its proof.
#include "fieldprint/error.h"
#include "memory/params.h"

namespace fieldprint::memory {

Json call_recall(Memory& memory, const MemoryCaller& caller, const Params& params) {
  Query query;
  query.text = params.text("query");
  query.limit = static_cast<int>(params.number("limit", 8, 1, 100));
  query.tokens = static_cast<int>(params.number("tokens", 1000, 1, 1 << 20));
  params.done();
  const Recall recall = memory.recall(caller, query);
  Json items = Json::array();
  for (const Recalled& item : recall.items) {
    Json json{{"id", hex(item.id)},
              {"text", item.payload.text},
              {"kind", kind_name(item.record.kind)},
              {"status", status_name(item.row.status)},
              {"label", label_json(item.record.label)},
              {"score", item.score},
              {"tokens", item.tokens},
              {"proof", {{"index", item.row.brought}, {"size", memory.ledger().signed_size()}}}};
    if (!item.payload.uri.empty()) json["uri"] = item.payload.uri;
    if (!item.payload.title.empty()) json["title"] = item.payload.title;
    items.push_back(std::move(json));
  }
  return {{"items", std::move(items)}, {"tokens", recall.tokens}, {"receipt", recall.receipt}};
}

}  // namespace fieldprint::memory
