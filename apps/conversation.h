// A model's chat format, with a template and tools from files.
#pragma once

#include <optional>
#include <string>

#include "fieldprint/chat.h"
#include "fieldprint/json.h"
#include "fieldprint/model.h"

namespace fieldprint::cli {

struct TemplateFile {
  std::optional<ChatTemplate> own;
};

// Turns messages into a prompt by the model's template, or by one from a file.
class PromptMaker : private TemplateFile, public ChatFormat {
 public:
  // `template_file`: "" = the model's own; Error kUnsupported where there is neither. `tools_file`: "" = none. Throws
  // as tools_from_json() and ChatFormat do. The model must outlive it.
  PromptMaker(const Model& model, const std::string& template_file, const std::string& tools_file,
              bool content_specials);
};

}  // namespace fieldprint::cli
