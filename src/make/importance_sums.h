// An importance matrix as its file has it: of each tensor the sums of squares of its inputs, column by column, and how
// many rows of inputs that were. Layout: docs/formats/imatrix.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fieldprint {

struct ImportanceSums {
  struct Tensor {
    uint64_t columns = 0;
    std::vector<float> sums;    // [experts, columns]
    std::vector<float> counts;  // [experts]; rows of inputs, times their text's weight

    uint64_t experts() const { return counts.size(); }
  };

  std::map<std::string, Tensor, std::less<>> tensors;
  std::vector<std::string> datasets;
  uint32_t chunks = 0;      // seen so far
  uint32_t chunk_size = 0;  // tokens a chunk
  std::string job;          // what was asked for, as a hash; "" where another program wrote the file
  uint32_t job_chunks = 0;  // of that job, how many are in

  // Throws as GgufFile::open, and Error kBadFile where it is no importance matrix. llama.cpp's older .dat files are
  // read too: they do not say how many tokens a chunk had, which is taken to be 512.
  static ImportanceSums read(const std::string& path);
  void write(const std::string& path) const;  // atomic; Error kIo

  // Adds `weight` times all of `other`. Throws Error kBadInput, naming `from`, where a tensor has another shape.
  void add(const ImportanceSums& other, double weight, const std::string& from);
};

}  // namespace fieldprint
