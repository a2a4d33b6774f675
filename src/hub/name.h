// What a person may type for a model on the Hugging Face hub, checked: names are input from strangers and become paths.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fieldprint {

struct HubFile {
  std::string owner;
  std::string repo;
  std::string file;  // may lie in folders of the repository: "Q4_K_M/model-00001-of-00002.gguf"

  std::string spelled() const { return owner + "/" + repo + ":" + file; }
};

// "owner/repo:file.gguf", "hf:owner/repo:file.gguf" or the address of the file's page on huggingface.co.
// Nothing where `name` has none of these forms; throws Error kUsage where it has one but cannot be right: a part that
// is empty, hidden, too long or climbs ("..") out of its folder, or a file that is not a .gguf.
std::optional<HubFile> parse_hub_name(std::string_view name);

// A relative path whose parts are safe to create below a folder of ours. Throws Error kUsage, naming `what`.
void check_relative_path(std::string_view path, std::string_view what);

// The path of a URL: everything but A-Z a-z 0-9 - . _ ~ and '/' as %XX.
std::string percent_encode_path(std::string_view path);

}  // namespace fieldprint
