#include "engine/drafts/draft.h"

namespace fieldprint {

#define DRAFT(name) DraftRow name##_draft();
#include "engine/drafts/drafts.def"
#undef DRAFT

std::span<const DraftRow> drafts() {
  static const DraftRow rows[] = {
#define DRAFT(name) name##_draft(),
#include "engine/drafts/drafts.def"
#undef DRAFT
  };
  return rows;
}

}  // namespace fieldprint
