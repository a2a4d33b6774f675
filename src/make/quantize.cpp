#include "make/quantize.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>

#include "base/thread_pool.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "make/importance.h"
#include "make/mixes.h"

namespace fieldprint {
namespace {

// The number in blk.N.; -1 where there is none.
int layer_of(std::string_view tensor) {
  if (!tensor.starts_with("blk.")) return -1;
  int layer = -1;
  for (const char c : tensor.substr(4)) {
    if (c < '0' || c > '9' || layer > 100000) break;
    layer = std::max(layer, 0) * 10 + (c - '0');
  }
  return layer;
}

const QuantType& type_named(const std::string& name) {
  const QuantType* type = find_quant_type(name);
  if (type != nullptr) return *type;
  std::string known;
  for (const QuantType& one : quant_types()) known += fmt::format(" {}", one.name);
  throw Error(ErrorKind::kUsage, fmt::format("there is no type {}", name), {}, "types:" + known);
}

// All that is settled before the first value is read.
struct Job {
  struct Step {
    const SourceTensor* from;
    const QuantType* to;
    const ImportanceRows* importance;  // nullptr: none
  };
  SourceModel source;
  const Mix* mix = nullptr;  // nullptr: types stay
  std::optional<Importance> importance;
  std::vector<Step> steps;
  QuantizePlan plan;
};

// The importance that fits the tensor; nullptr where the type has no use for it or none was measured.
const ImportanceRows* importance_of(const Job& job, const SourceTensor& tensor, const QuantType& to) {
  if (!job.importance || to.block_elements == 1) return nullptr;
  const ImportanceRows* rows = job.importance->find(tensor.name);
  if (rows == nullptr) return nullptr;
  const uint64_t experts = tensor.shape[2] * tensor.shape[3];
  if (rows->means.size() != tensor.shape[0] * experts) {  // an older .dat file does not tell experts apart
    throw Error(ErrorKind::kBadInput,
                fmt::format("the importance matrix was made for another model: {} has {} inputs and {} experts, not "
                            "{} and {}",
                            tensor.name, tensor.shape[0], experts, rows->columns, rows->experts()));
  }
  return rows;
}

// Encoding again could only lose.
bool is_copied(const SourceTensor& from, const QuantType& to) { return from.type == &to && from.additions.empty(); }

Job prepare_job(SourceModel source, const QuantizeOptions& options) {
  Job job;
  if (!options.mix.empty()) job.mix = &mix_named(options.mix);
  std::vector<const QuantType*> rule_types;
  for (const TensorTypeRule& rule : options.tensors) rule_types.push_back(&type_named(rule.type));
  job.source = std::move(source);
  if (!options.importance.empty()) job.importance = Importance::read(options.importance);

  const auto& tensors = job.source.tensors;
  const bool tied =
      std::none_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.name == "output.weight"; });
  int layers = 0;
  for (const SourceTensor& tensor : tensors) layers = std::max(layers, layer_of(tensor.name) + 1);
  std::vector<bool> used(options.tensors.size(), false);
  for (const SourceTensor& tensor : tensors) {
    QuantizedTensor planned;
    planned.name = tensor.name;
    planned.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
    const bool stays = stays_f32(tensor.name, tensor.dims);
    const QuantType* wanted = job.mix == nullptr ? &tensor.kept_type()
                              : stays            ? find_quant_type("F32")
                                      : &mix_type(*job.mix, tensor.name, tied, layer_of(tensor.name), layers);
    for (size_t i = 0; i < options.tensors.size(); ++i) {
      if (fnmatch(options.tensors[i].pattern.c_str(), planned.name.c_str(), 0) != 0) continue;
      used[i] = true;
      if (stays) planned.note = "this kind stays F32";
      else wanted = rule_types[i];
    }
    const QuantType& to = fitting_type(*wanted, tensor.shape[0]);
    if (&to != wanted) planned.note = fmt::format("rows of {} do not fit {}", tensor.shape[0], wanted->name);
    const ImportanceRows* importance = importance_of(job, tensor, to);
    if (wants_importance(to) && importance == nullptr && !options.allow_unweighted && !is_copied(tensor, to)) {
      if (!job.importance) {
        throw Error(ErrorKind::kUsage, fmt::format("{} for {} needs an importance matrix", to.name, tensor.name), {},
                    "make one with `fieldprint imatrix` and name it with --imatrix, or insist with --allow-unweighted");
      }
      throw Error(ErrorKind::kUsage, fmt::format("has no entry for {}, which {} needs", tensor.name, to.name),
                  options.importance,
                  "measure this very model with `fieldprint imatrix`, give the tensor another type with --tensor, or "
                  "insist with --allow-unweighted");
    }
    planned.from = tensor.type->name;
    planned.to = to.name;
    planned.bytes_from = tensor.bytes();
    planned.bytes_to = to.bytes(tensor.elements());
    planned.weighted = importance != nullptr && !is_copied(tensor, to);
    planned.merged = !tensor.additions.empty();
    job.plan.bytes_from += planned.bytes_from;
    job.plan.bytes_to += planned.bytes_to;
    job.plan.elements += tensor.elements();
    job.plan.tensors.push_back(std::move(planned));
    job.steps.push_back({&tensor, &to, importance});
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) throw Error(ErrorKind::kUsage, fmt::format("no tensor is named {}", options.tensors[i].pattern));
  }
  return job;
}

// Encodes one tensor after the other into a sink: slabs of whole rows, dealt out to the threads in pieces.
class Encoder {
 public:
  Encoder(int threads, const Progress& progress, uint64_t total)
      : pool_(threads > 0 ? threads : hardware_threads()), progress_(progress), total_(total) {}

  void encode(const Job::Step& step, const GgufSink& sink) {
    const SourceTensor& from = *step.from;
    if (is_copied(from, *step.to)) {
      copy(from, sink);
      return;
    }
    const auto columns = static_cast<int64_t>(from.shape[0]);
    const auto rows = static_cast<int64_t>(from.elements() / from.shape[0]);
    const auto row_bytes = static_cast<size_t>(step.to->bytes(from.shape[0]));
    const int64_t piece = std::max<int64_t>(kPieceValues / columns, 1);
    const int64_t slab = piece * pool_.threads() * 4;
    for (int64_t first = 0; first < rows; first += slab) {
      const int64_t count = std::min(slab, rows - first);
      out_.resize(static_cast<size_t>(count) * row_bytes);
      pool_.run((count + piece - 1) / piece, [&](int64_t part, int) {
        const int64_t begin = first + part * piece, end = std::min(begin + piece, first + count);
        try {
          encode_piece(step, begin, end, out_.data() + static_cast<size_t>(begin - first) * row_bytes);
        } catch (...) {
          const std::lock_guard lock(mutex_);
          if (!fault_) fault_ = std::current_exception();
        }
      });
      if (fault_) std::rethrow_exception(fault_);
      sink(out_);
      report(from.name, static_cast<uint64_t>(count) * from.row_bytes());
    }
  }

 private:
  static constexpr int64_t kPieceValues = 1 << 15;

  void copy(const SourceTensor& from, const GgufSink& sink) {
    constexpr uint64_t kSlab = 16 << 20;
    if (from.is_contiguous()) {
      for (uint64_t at = 0; at < from.bytes(); at += kSlab) {
        const uint64_t bytes = std::min(kSlab, from.bytes() - at);
        sink({from.parts[0] + at, static_cast<size_t>(bytes)});
        report(from.name, bytes);
      }
      return;
    }
    const uint64_t row_bytes = from.row_bytes(), slab = std::max<uint64_t>(kSlab / row_bytes, 1);
    for (uint64_t first = 0; first < from.rows(); first += slab) {
      const uint64_t count = std::min(slab, from.rows() - first);
      out_.resize(static_cast<size_t>(count * row_bytes));
      for (uint64_t row = 0; row < count; ++row) {
        from.copy_row(first + row, out_.data() + row * row_bytes);
      }
      sink(out_);
      report(from.name, out_.size());
    }
  }

  static void encode_piece(const Job::Step& step, int64_t begin, int64_t end, std::byte* out) {
    const SourceTensor& from = *step.from;
    const auto columns = static_cast<int64_t>(from.shape[0]);
    const auto rows_per_expert = static_cast<int64_t>(from.shape[1]);
    std::vector<float> values(static_cast<size_t>(columns)), sum;
    std::vector<std::byte> aligned(from.row_bytes());
    for (int64_t row = begin; row < end; ++row) {
      from.copy_row(static_cast<uint64_t>(row), aligned.data());
      from.type->decode(aligned.data(), values.data(), columns);
      for (const LowRank& addition : from.additions) add_row(addition, row, row / rows_per_expert, values, sum);
      const float* importance = nullptr;
      if (step.importance != nullptr) importance = step.importance->means.data() + row / rows_per_expert * columns;
      encode_rows(*step.to, values.data(), importance, out, 1, columns, fmt::format("{}, row {}", from.name, row));
      out += step.to->bytes(from.shape[0]);
    }
  }

  // values += scale * (row of B) A, of the expert's A.
  static void add_row(const LowRank& by, int64_t row, int64_t expert, std::vector<float>& values,
                      std::vector<float>& sum) {
    assert(by.a.type->name == "F32" && by.b.type->name == "F32");
    const auto columns = static_cast<int64_t>(values.size());
    const float* b = by.b.floats() + row * by.rank;
    const float* a = by.a.floats() + (by.a.rows == by.rank ? 0 : expert) * by.rank * columns;
    sum.assign(values.size(), 0.0f);
    for (int64_t k = 0; k < by.rank; ++k) {
      for (int64_t c = 0; c < columns; ++c) sum[static_cast<size_t>(c)] += b[k] * a[k * columns + c];
    }
    for (size_t c = 0; c < values.size(); ++c) values[c] += by.scale * sum[c];
  }

  void report(std::string_view what, uint64_t bytes) {
    done_ += bytes;
    if (progress_ && !progress_(what, done_, total_)) throw Error(ErrorKind::kLimit, "stopped; nothing was written");
  }

  ThreadPool pool_;
  const Progress& progress_;
  uint64_t total_, done_ = 0;
  std::vector<std::byte> out_;
  std::mutex mutex_;
  std::exception_ptr fault_;
};

// To keep every type would be to copy the model, but for what adapters change.
SourceModel source_of(const std::string& in, const QuantizeOptions& options) {
  if (options.adapters.empty()) (void)mix_named(options.mix);
  return open_source(in, options.adapters);
}

}  // namespace

QuantizePlan plan_quantize(const std::string& in, const QuantizeOptions& options) {
  return prepare_job(source_of(in, options), options).plan;
}

QuantizePlan quantize(const std::string& in, const std::string& out, const QuantizeOptions& options,
                      const Progress& progress) {
  return write_model(source_of(in, options), out, options, progress);
}

QuantizePlan write_model(SourceModel source, const std::string& out, const QuantizeOptions& options,
                         const Progress& progress) {
  Job job = prepare_job(std::move(source), options);
  require_room(out, job.plan.bytes_to);
  Encoder encoder(options.threads, progress, job.plan.bytes_from);
  GgufWriter& writer = *job.source.writer;
  if (job.mix != nullptr) {
    writer.set("general.file_type", job.mix->file_type);
    writer.set("general.quantization_version", uint32_t{2});
  }
  for (size_t i = 0; i < job.steps.size(); ++i) {
    const Job::Step& step = job.steps[i];
    writer.add_tensor(step.from->name, *step.to, job.plan.tensors[i].shape,
                      [&encoder, &step](const GgufSink& sink) { encoder.encode(step, sink); });
  }
  if (options.split_bytes > 0) {
    job.plan.files = writer.write_split(out, options.split_bytes);
  } else {
    writer.write(out);
    job.plan.files = {out};
  }
  return std::move(job.plan);
}

}  // namespace fieldprint
