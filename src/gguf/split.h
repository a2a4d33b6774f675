// A model in several files, as `llama-gguf-split` writes them: the first has the metadata, each has some of the tensors
// and says by split.no (from 0), split.count and split.tensors.count (of all files) which one it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "gguf/parse.h"

namespace fieldprint {

// Adds the tensors of the other files to the `contents` of the first, which lies at `path`; nothing where there is no
// other. Returns what the tensors' data lies in. Throws Error kBadFile or kUnsupported where `path` is not the first
// of them, or where a file is none of this model's; kNotFound where one is missing; else as GgufFile::open.
std::vector<std::unique_ptr<MappedFile>> add_split_files(const std::string& path, GgufContents& contents);

}  // namespace fieldprint
