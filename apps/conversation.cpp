#include "conversation.h"

#include "fieldprint/embed.h"
#include "fieldprint/error.h"
#include "files.h"

namespace fieldprint::cli {

namespace {

TemplateFile template_from(const std::string& file, const Model& model) {
  if (is_encoder(model)) {
    throw Error(ErrorKind::kUnsupported, "the model makes vectors of texts, it writes none", model.info().path,
                "`fieldprint embed` uses it");
  }
  if (file.empty()) {
    if (model.chat_template() == nullptr)
      throw Error(ErrorKind::kUnsupported, "this model has no chat template", model.info().path,
                  "`fieldprint run --raw` lets it continue a text; --template FILE gives it a template");
    return {};
  }
  try {
    return {ChatTemplate(read_file(file))};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput) throw;
    throw Error(ErrorKind::kBadInput, error.what(), file, error.hint());
  }
}

}  // namespace

PromptMaker::PromptMaker(const Model& model, const std::string& template_file, const std::string& tools_file,
                         bool content_specials)
    : TemplateFile(template_from(template_file, model)),
      ChatFormat(model.tokenizer(), own ? *own : *model.chat_template(),
                 {.tools = tools_file.empty() ? "" : tools_from_json(read_file(tools_file), tools_file),
                  .where = model.info().path,
                  .content_specials = content_specials}) {}

}  // namespace fieldprint::cli
