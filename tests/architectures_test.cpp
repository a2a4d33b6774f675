// What every architecture must be able to do, for each row of models/registry.cpp and each of its small presets: a new
// row is tested without a new test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "engine/loaded_model.h"
#include "fieldprint/embed.h"
#include "fieldprint/error.h"
#include "fieldprint/importance.h"
#include "fieldprint/quantize.h"
#include "fieldprint/scheduler.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "kernels/select.h"
#include "make/json_file.h"
#include "make/mixes.h"
#include "models/architecture.h"
#include "support/files.h"
#include "support/hugging_face_folder.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSmall = 8'000'000;  // weights

SynthOptions of(std::string_view preset, std::string mix, std::string_view kind = "") {
  SynthOptions options;
  options.preset = preset;
  options.mix = std::move(mix);
  options.attention_kind = kind;
  return options;
}

struct Case {
  const ArchitectureRow* row;
  const Preset* preset;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.preset->name; }

Hyperparameters hyperparameters(const Preset& preset) {
  return read_config(JsonFile::parse(preset.config, "config")).hp;
}

// Found before every test of the binary: a plan makes a whole vocabulary, which is only done where it is small.
std::vector<Case> small_presets() {
  static const std::vector<Case> found = [] {
    std::vector<Case> all;
    for (const ArchitectureRow* row : architectures()) {
      for (const Preset& preset : row->presets) {
        const Hyperparameters hp = hyperparameters(preset);
        if (static_cast<uint64_t>(hp.vocabulary) * static_cast<uint64_t>(hp.width) > kSmall) continue;
        if (plan_synth(of(preset.name, "Q8_0")).elements <= kSmall) all.push_back({row, &preset});
      }
    }
    return all;
  }();
  return found;
}

bool is_encoder(const Case& one) { return hyperparameters(*one.preset).encoder; }

std::vector<Case> small_presets(bool encoders) {
  std::vector<Case> some = small_presets();
  std::erase_if(some, [&](const Case& one) { return is_encoder(one) != encoders; });
  return some;
}

std::vector<TokenId> some_tokens(int count, int seed = 0) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
  return tokens;
}

std::vector<float> last_logits(const Session& session) { return {session.logits().begin(), session.logits().end()}; }

// Of every token; an encoder's vectors.
std::vector<float> all_logits(const std::shared_ptr<const Model>& model, std::span<const TokenId> tokens,
                              const SessionOptions& options = {}) {
  if (is_encoder(*model)) return Embedder(model, {.session = options}).token_vectors(tokens);
  Session session(model, options);
  std::vector<float> all;
  session.append(tokens, [&](int, std::span<const float> row) { all.insert(all.end(), row.begin(), row.end()); });
  return all;
}

double nmse(const std::vector<float>& got, const std::vector<float>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return error / size;
}

class Architectures : public testing::TestWithParam<Case> {
 protected:
  std::string path(const char* name = "model.gguf") const { return (home_.path() / name).string(); }
  std::string make(const char* mix, std::string_view kind = "") const {
    synth(path(), of(GetParam().preset->name, mix, kind));
    return path();
  }

  TempHome home_;
};

class CausalArchitectures : public Architectures {};
class Encoders : public Architectures {};

TEST(ArchitectureRows, HaveASmallPresetEach) {
  const auto cases = small_presets();
  for (const ArchitectureRow* row : architectures()) {
    EXPECT_TRUE(std::any_of(cases.begin(), cases.end(), [&](const Case& one) { return one.row == row; }))
        << row->name << " has no preset of at most " << kSmall << " weights";
  }
}

TEST_P(Architectures, RunAgreesWithTheReference) {
  const auto tokens = some_tokens(70);
  for (const auto& [mix, bound] : {std::pair("F32", 1e-5), {"Q8_0", 5e-3}, {"Q4_K_M", 1e-2}}) {
    const auto model = Model::load(make(mix), {.threads = 2});
    const double error = nmse(all_logits(model, tokens), all_logits(model, tokens, {.executor = "reference"}));
    EXPECT_LT(error, bound) << mix;
  }
}

TEST_P(Architectures, NoWayOfFeedingOrRunningChangesABit) {
  const auto tokens = some_tokens(150);
  for (const char* mix : {"F16", "Q4_K_M"}) {
    SCOPED_TRACE(mix);
    const std::string file = make(mix);
    const auto expected = all_logits(Model::load(file, {.threads = 2}), tokens);
    const auto expect = [&](const LoadOptions& load, const SessionOptions& session, const std::string& what) {
      EXPECT_EQ(all_logits(Model::load(file, load), tokens, session), expected) << what;
    };
    for (const int chunk : {1, 7, 64, 1000}) expect({.threads = 2}, {.chunk = chunk}, "chunk " + std::to_string(chunk));
    for (const int size : {1, 5, 16, 128})
      expect({.threads = 2}, {.chunk = 50, .page_size = size}, "page size " + std::to_string(size));
    for (const int threads : {1, 3, 8})
      expect({.threads = threads}, {.chunk = 50}, std::to_string(threads) + " threads");
    for (const IsaRow& isa : isa_rows()) {
      if (!isa.supported()) continue;
      expect({.threads = 2, .isa = std::string(isa.name)}, {.chunk = 50}, std::string(isa.name));
    }
  }
}

TEST_P(CausalArchitectures, StreamsGetTheBitsThatTheyGetAlone) {
  const auto model = Model::load(make("Q4_K_M"), {.threads = 2});
  SchedulerOptions options;
  options.session.chunk = 48;
  options.streams = 3;
  options.chunk_with_decode = 11;
  Scheduler scheduler(model, options);
  std::vector<Request> requests;
  std::vector<Stream> streams;
  for (const auto& [prompt, answer] : {std::pair(1, 30), {130, 3}, {7, 1}, {40, 20}, {90, 5}}) {
    SamplingOptions sampling;
    sampling.max_tokens = answer;
    sampling.temperature = 0;
    requests.push_back({some_tokens(prompt, prompt), sampling, {}, {}});
    streams.push_back(scheduler.submit(requests.back()));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Generation together = streams[i].wait();
    Session session(model);
    const Generation alone = session.generate(requests[i].prompt, requests[i].sampling);
    EXPECT_EQ(together.tokens, alone.tokens);
    EXPECT_EQ(together.stats.logits_hash, alone.stats.logits_hash);
  }
}

TEST_P(CausalArchitectures, SavedCutAndForkedSessionsGoOnAsIfNothingHadBeen) {
  const auto model = Model::load(make("Q4_K_M"), {.threads = 2});
  const auto tokens = some_tokens(120), other = some_tokens(9, 5);
  Session whole(model);
  whole.append(tokens);
  const auto expected = last_logits(whole);
  const std::string saved = path("session");
  Session session(model, {.chunk = 31, .page_size = 32});
  session.append(tokens);
  for (const int size : {119, 64, 33, 1}) {
    SCOPED_TRACE(size);
    session.truncate(size);
    Session fork = session.fork();
    fork.append(other);
    session.save(saved);
    session.assign(tokens);
    EXPECT_EQ(last_logits(session), expected) << "cut back, a fork beside it";
    fork.assign(tokens);
    EXPECT_EQ(last_logits(fork), expected) << "the fork, back from elsewhere";
    Session restored(model, {.chunk = 7, .page_size = 16});
    restored.load(saved);
    EXPECT_EQ(restored.assign(tokens), size);
    EXPECT_EQ(last_logits(restored), expected) << "saved and loaded";
  }
}

TEST_P(CausalArchitectures, TheReferenceGoesBackExactly) {
  const auto model = Model::load(make("Q8_0"), {.threads = 2});
  const auto tokens = some_tokens(30);
  const SessionOptions options{.executor = "reference", .chunk = 11};
  Session whole(model, options);
  whole.append(tokens);
  const auto expected = last_logits(whole);
  for (const int size : {29, 12, 1}) {
    whole.truncate(size);
    whole.truncate(size - 1);  // before the first way back has been gone
    Session fork = whole.fork();
    fork.append(some_tokens(3, 5));
    whole.assign(tokens);
    EXPECT_EQ(last_logits(whole), expected) << size;
    fork.assign(tokens);
    EXPECT_EQ(last_logits(fork), expected) << size << ", a fork";
  }
}

TEST_P(Encoders, TextsGetTheBitsThatTheyGetAlone) {
  const std::string file = make("Q4_K_M");
  std::vector<std::vector<TokenId>> texts;
  for (const int length : {7, 1, 130, 40, 512, 2}) texts.push_back(some_tokens(length, length));
  for (const Pooling pooling : {Pooling::kModel, Pooling::kFirst, Pooling::kLast}) {
    std::vector<float> alone;
    const auto model = Model::load(file, {.threads = 2});
    Embedder one(model, {.pooling = pooling});
    for (const auto& text : texts) {
      const auto vector = one.embed_tokens({&text, 1});
      alone.insert(alone.end(), vector.begin(), vector.end());
    }
    for (const int batch : {1, 64, 100000}) {
      EXPECT_EQ(Embedder(model, {.pooling = pooling, .batch = batch}).embed_tokens(texts), alone) << batch;
    }
    for (const int threads : {1, 3, 8}) {
      EXPECT_EQ(Embedder(Model::load(file, {.threads = threads}), {.pooling = pooling}).embed_tokens(texts), alone)
          << threads << " threads";
    }
  }
}

TEST_P(Encoders, VectorsArePooledAsTheyShould) {
  const auto model = Model::load(make("F32"), {.threads = 2});
  const auto tokens = some_tokens(9);
  const auto rows = all_logits(model, tokens);
  const std::vector<TokenId> texts[] = {tokens};
  const size_t width = rows.size() / tokens.size();
  const auto vector = [&](Pooling pooling, bool normalize) {
    return Embedder(model, {.pooling = pooling, .normalize = normalize}).embed_tokens(texts);
  };
  const auto row = [&](size_t t) {
    return std::vector<float>(rows.begin() + static_cast<std::ptrdiff_t>(t * width),
                              rows.begin() + static_cast<std::ptrdiff_t>((t + 1) * width));
  };
  EXPECT_EQ(vector(Pooling::kFirst, false), row(0));
  EXPECT_EQ(vector(Pooling::kLast, false), row(8));
  const auto mean = vector(Pooling::kMean, false), unit = vector(Pooling::kMean, true);
  double length = 0;
  for (size_t i = 0; i < width; ++i) {
    double sum = 0;
    for (size_t t = 0; t < 9; ++t) sum += static_cast<double>(rows[t * width + i]);
    EXPECT_FLOAT_EQ(mean[i], static_cast<float>(sum / 9));
    length += static_cast<double>(unit[i]) * static_cast<double>(unit[i]);
  }
  EXPECT_NEAR(length, 1, 1e-6);
  EXPECT_NEAR(cosine(mean, unit), 1, 1e-6);
}

// The last token changes the first one's vector, which it would not under a causal mask.
TEST_P(Encoders, EveryTokenSeesTheWholeText) {
  const auto model = Model::load(make("F32"), {.threads = 2});
  auto tokens = some_tokens(90);
  const auto before = all_logits(model, tokens);
  tokens.back() += 1;
  const auto after = all_logits(model, tokens);
  EXPECT_NE(before[0], after[0]);
}

TEST_P(Encoders, RefuseWhatOnlyWritersCanDo) {
  const auto model = Model::load(make("Q8_0"));
  EXPECT_THAT(refusal([&] { Session session(model); }), testing::HasSubstr("makes vectors of texts"));
  EXPECT_THAT(refusal([&] { Scheduler scheduler(model); }), testing::HasSubstr("makes vectors of texts"));
  const std::vector<TokenId> texts[] = {some_tokens(513)};
  EXPECT_THAT(refusal([&] { Embedder(model).embed_tokens(texts); }),
              testing::HasSubstr("513 tokens, the model reads 512"));
  const std::vector<TokenId> empty[] = {{}};
  EXPECT_THAT(refusal([&] { Embedder(model).embed_tokens(empty); }), testing::HasSubstr("has no tokens"));
  const std::string longer(2000, 'a');
  EXPECT_THAT(refusal([&] { Embedder(model).embed(longer); }), testing::HasSubstr("the model reads 512"));
  EXPECT_EQ(Embedder(model, {.truncate = true}).tokens(longer).size(), 512u);
}

TEST_P(CausalArchitectures, AreNoEncoders) {
  const auto model = Model::load(make("Q8_0"));
  EXPECT_THAT(refusal([&] { Embedder embedder(model); }), testing::HasSubstr("no encoder"));
}

TEST_P(Architectures, QuantisedModelsSayNearlyTheSame) {
  const std::string file = make("F16");
  const auto tokens = some_tokens(40);
  const auto expected = all_logits(Model::load(file), tokens);
  for (const auto& [mix, bound] : {std::pair("Q8_0", 0.02), {"Q6_K", 0.05}, {"Q4_K_M", 0.3}}) {
    QuantizeOptions options;
    options.mix = mix;
    quantize(file, path("quantised.gguf"), options);
    const double error = nmse(all_logits(Model::load(path("quantised.gguf")), tokens), expected);
    EXPECT_LT(error, bound) << mix;
    EXPECT_GT(error, 0) << mix;
  }
}

// Of each matrix once a token, whichever tensor its rows lie in.
TEST_P(CausalArchitectures, ImportanceIsMeasuredOfEveryMatrix) {
  const auto file = GgufFile::open(make("F16"));
  ImportanceOptions options;
  options.context = 32;
  options.texts.push_back({"text", "0123456789 abcdefghijklmnop, qrstuvwxyz: ABCDEFGHIJKLMNO", 1});
  measure_importance(Model::load(path()), options, path("importance"));
  std::map<std::string, ImportanceStatistics> measured;
  for (const ImportanceStatistics& one : summarize_importance(path("importance")).tensors) measured[one.tensor] = one;
  double tokens = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    const std::string name(tensor.name);
    if (stays_f32(name, tensor.dims) || (name == "token_embd.weight" && file->find_tensor("output.weight") != nullptr))
      continue;
    ASSERT_TRUE(measured.contains(name)) << name;
    EXPECT_GT(measured[name].sum, 0) << name;
    if (tensor.dims > 2 || !name.starts_with("blk.")) continue;
    if (tokens == 0) tokens = measured[name].rows;
    EXPECT_EQ(measured[name].rows, tokens) << name;
  }
  EXPECT_GT(tokens, 0);
  QuantizeOptions weighted;
  weighted.mix = "IQ4_XS";
  weighted.importance = path("importance");
  quantize(path(), path("weighted.gguf"), weighted);
  const auto prompt = some_tokens(40);
  EXPECT_LT(nmse(all_logits(Model::load(path("weighted.gguf")), prompt), all_logits(Model::load(path()), prompt)), 0.3);
}

// A tensor that is loaded and not used would be an answer that the weights do not mean.
TEST_P(Architectures, EveryTensorOfThePlanIsUsed) {
  for (const AttentionKind& kind : attention_kinds()) {
    const auto file = GgufFile::open(make("Q4_0", kind.name));
    const auto architecture = load_architecture(*file);
    EXPECT_THAT(architecture->weights().unused(), testing::IsEmpty()) << kind.name;
    EXPECT_EQ(architecture->hyperparameters().plan.size(), architecture->hyperparameters().kv.size());
  }
}

TEST_P(Architectures, MetadataSayAllThatTheHyperparametersDo) {
  for (const AttentionKind& kind : attention_kinds()) {
    const auto& [row, preset] = GetParam();
    const auto file = GgufFile::open(make("Q4_0", kind.name));
    GgufWriter again;
    again.set("general.architecture", row->name);
    row->write(MetadataWriter(again, row->name), row->read(Metadata(*file)));
    const auto bytes = again.bytes();
    const auto rewritten = GgufFile::parse(bytes, "again");
    size_t own = 0;
    for (const auto& [key, value] : file->metadata()) {
      if (!key.starts_with(std::string(row->name) + ".")) continue;
      ++own;
      const GgufValue* other = rewritten->find(key);
      ASSERT_NE(other, nullptr) << key;
      ASSERT_EQ(other->kind, value.kind) << key;
      if (value.kind == GgufKind::kArray) continue;
      if (value.kind == GgufKind::kString) {
        EXPECT_EQ(rewritten->string(key), file->string(key)) << key;
      } else if (value.kind == GgufKind::kBool) {
        EXPECT_EQ(rewritten->boolean(key, false), file->boolean(key, false)) << key;
      } else {
        EXPECT_EQ(rewritten->number(key), file->number(key)) << key;
      }
    }
    EXPECT_EQ(rewritten->metadata().size(), own + 1) << kind.name;
  }
}

// The file with other metadata.
template <class Change>
std::vector<std::byte> changed(const GgufFile& file, Change change) {
  GgufWriter writer;
  for (const auto& [key, value] : file.metadata()) writer.copy(key, value);
  change(writer);
  for (const GgufTensor& tensor : file.tensors()) {
    writer.add_tensor(std::string(tensor.name), *tensor.type,
                      {tensor.shape.begin(), tensor.shape.begin() + tensor.dims},
                      std::span<const std::byte>(tensor.data, tensor.bytes));
  }
  return writer.bytes();
}

TEST_P(Architectures, HyperparametersThatAreNoNumbersAreRefused) {
  const auto file = GgufFile::open(make("Q4_0"));
  int count = 0;
  for (const auto& [key, value] : file->metadata()) {
    if (value.kind != GgufKind::kF32 || !key.starts_with(std::string(GetParam().row->name) + ".")) continue;
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      ++count;
      const auto bytes = changed(*file, [&](GgufWriter& writer) { writer.set(std::string(key), bad); });
      const auto damaged = GgufFile::parse(bytes, "damaged");
      EXPECT_THAT(refusal([&] { load_architecture(*damaged); }), testing::HasSubstr(std::string(key))) << bad;
    }
  }
  EXPECT_GE(count, 3);  // epsilon at least
}

TEST_P(Architectures, OneNumberMayBeAnArrayOfTheSame) {
  const auto file = GgufFile::open(make("Q4_0"));
  const auto tokens = some_tokens(10);
  const auto expected = all_logits(Model::load(path()), tokens);
  const std::string prefix = std::string(GetParam().row->name) + ".";
  const auto layers = static_cast<size_t>(file->integer(prefix + "block_count"));
  const auto bytes = changed(*file, [&](GgufWriter& writer) {
    for (const auto& [key, value] : file->metadata()) {
      if (!key.starts_with(prefix) || key == prefix + "block_count") continue;
      if (value.kind == GgufKind::kF32) {
        writer.set(std::string(key), std::vector<float>(layers, static_cast<float>(file->number(key))));
      } else if (value.kind == GgufKind::kU32) {
        writer.set(std::string(key), std::vector<int32_t>(layers, static_cast<int32_t>(file->integer(key))));
      }
    }
  });
  spill(path("arrays.gguf"), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  EXPECT_EQ(all_logits(Model::load(path("arrays.gguf")), tokens), expected);
  if (layers < 2) return;
  const auto mixed = changed(*file, [&](GgufWriter& writer) {
    std::vector<int32_t> widths(layers, static_cast<int32_t>(file->integer(prefix + "embedding_length")));
    widths.back() /= 2;
    writer.set(prefix + "embedding_length", widths);
  });
  const auto damaged = GgufFile::parse(mixed, "mixed");
  EXPECT_THAT(refusal([&] { load_architecture(*damaged); }), testing::HasSubstr("differs from layer to layer"));
}

// ---- A Hugging Face folder by the rows of the plan, and back. Written the other way round than conversion reads it.

// Rows of heads, neighbours of RoPE become halves of the head.
std::string halves_apart(const std::string& data, uint64_t rows, uint64_t head_rows) {
  const size_t row_bytes = data.size() / rows;
  std::string out(data.size(), '\0');
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t within = row % head_rows,
                   to = row - within + (within % 2 == 0 ? within / 2 : head_rows / 2 + within / 2);
    out.replace(to * row_bytes, row_bytes, data, row * row_bytes, row_bytes);
  }
  return out;
}

std::string transposed(const std::string& data, uint64_t rows, uint64_t cols) {
  const size_t size = data.size() / (rows * cols);
  std::string out;
  for (uint64_t col = 0; col < cols; ++col)
    for (uint64_t row = 0; row < rows; ++row) out.append(data, (row * cols + col) * size, size);
  return out;
}

// The last of `count` pieces of `data` are heads of values. They go from where head n reads group n mod groups to where
// heads of a group stand together.
std::string heads_together(const std::string& data, uint64_t count, const Hyperparameters& hp) {
  const auto heads = static_cast<uint64_t>(hp.linear_heads), groups = static_cast<uint64_t>(hp.linear_groups);
  const auto columns = static_cast<uint64_t>(hp.linear_columns);
  const size_t each = data.size() / count * (count >= heads * columns ? columns : 1),
               first = data.size() - heads * each;
  std::string out = data;
  for (uint64_t to = 0; to < heads; ++to) {
    const uint64_t group = to / (heads / groups), from = to % (heads / groups) * groups + group;
    out.replace(first + to * each, each, data, first + from * each, each);
  }
  return out;
}

// All numbers of a tensor of float32, changed.
template <class Change>
std::string changed_floats(const std::string& data, Change&& change) {
  std::vector<float> values(data.size() / sizeof(float));
  std::memcpy(values.data(), data.data(), data.size());
  for (float& value : values) value = change(value);
  return {reinterpret_cast<const char*>(values.data()), data.size()};
}

HfTensors hugging_face_tensors(const GgufFile& file, const ArchitectureRow& row, const Hyperparameters& hp) {
  HfTensors all;
  for (const PlannedTensor& planned : tensors_of(row.tensors, hp)) {
    if (!planned.wanted || planned.row->form == There::kNowhere) continue;
    const GgufTensor& tensor = file.tensor(planned.here);
    HfTensor out{std::string(tensor.type->name), {}, {reinterpret_cast<const char*>(tensor.data), tensor.bytes}};
    for (int i = tensor.dims - 1; i >= 0; --i) out.shape.push_back(tensor.shape[static_cast<size_t>(i)]);
    const size_t mark = planned.there.find("<>");
    if (planned.row->heads == Heads::kRows) out.data = heads_together(out.data, out.shape[0], hp);
    if (planned.row->heads == Heads::kColumns) {
      const size_t row_bytes = out.data.size() / out.shape[0];
      for (size_t at = 0; at < out.data.size(); at += row_bytes)
        out.data.replace(at, row_bytes, heads_together(out.data.substr(at, row_bytes), out.shape[1], hp));
    }
    switch (planned.row->form) {
      case There::kHalves:
        out.data = halves_apart(out.data, out.shape[0], static_cast<uint64_t>(hp.head_dim));
        break;
      case There::kFirstHalf:
      case There::kSecondHalf: {
        const size_t rows = out.shape.size() - 2, matrices = rows == 0 ? 1 : out.shape[0];
        const size_t bytes = out.data.size() / matrices;
        out.shape[rows] *= 2;
        HfTensor& both =
            all.try_emplace(planned.there, out.dtype, out.shape, std::string(2 * out.data.size(), 0)).first->second;
        for (size_t i = 0; i < matrices; ++i) {
          const size_t to = 2 * i + (planned.row->form == There::kFirstHalf ? 0 : 1);
          both.data.replace(to * bytes, bytes, out.data, i * bytes, bytes);
        }
        continue;
      }
      case There::kKernel:
        out.shape.insert(out.shape.begin() + 1, 1);
        break;
      case There::kStacked:
        for (size_t i = 0, bytes = out.data.size() / out.shape[0]; i < out.shape[0]; ++i) {
          const std::string name = planned.there.substr(0, mark) + std::to_string(i) + planned.there.substr(mark + 2);
          all[name] = {out.dtype, {out.shape[1], out.shape[2]}, out.data.substr(i * bytes, bytes)};
        }
        continue;
      case There::kMinusOne:
        out.data = changed_floats(out.data, [](float x) { return x - 1; });
        break;
      case There::kLogarithm:
        out.data = changed_floats(out.data, [](float x) { return std::log(-x); });
        out.shape = {file.tensor(planned.here).elements()};
        break;
      case There::kVector:
        out.shape = {file.tensor(planned.here).elements()};
        break;
      case There::kTransposed:
        out.data = transposed(out.data, out.shape[0], out.shape[1]);
        std::swap(out.shape[0], out.shape[1]);
        break;
      case There::kRow:
        out.shape.insert(out.shape.begin(), 1);
        break;
      default:
        break;
    }
    EXPECT_TRUE(all.emplace(planned.there, out).second) << planned.there << " stands twice in the plan";
  }
  return all;
}

bool changes_values(const TensorRow& row) { return row.form == There::kMinusOne || row.form == There::kLogarithm; }

bool has_other_values(const ArchitectureRow& architecture, std::string_view tensor) {
  const auto named = [&](const TensorRow& row) {
    return changes_values(row) && (tensor == row.here || tensor.ends_with("." + std::string(row.here)));
  };
  const TensorPlan& plan = architecture.tensors;
  return std::any_of(plan.model.begin(), plan.model.end(), named) ||
         std::any_of(plan.layer.begin(), plan.layer.end(), named);
}

// Of gpt-oss' experts.
bool has_no_folder(const ArchitectureRow& row, const Hyperparameters& hp) {
  const auto all = tensors_of(row.tensors, hp);
  return std::any_of(all.begin(), all.end(), [](const PlannedTensor& one) {
    return one.wanted && one.row->there.empty() && one.row->form != There::kNowhere;
  });
}

TEST_P(Architectures, AHuggingFaceFolderBecomesTheSameModel) {
  const auto& [row, preset] = GetParam();
  if (const auto file = GgufFile::open(make("Q8_0")); has_no_folder(*row, row->read(Metadata(*file)))) {
    const fs::path folder = home_.path() / "folder";
    fs::create_directories(folder);
    write_json(folder / "config.json", JsonFile::parse(preset->config, "config").root());
    QuantizeOptions options;
    options.mix = "Q8_0";
    EXPECT_THAT(refusal([&] { quantize(folder.string(), path("converted.gguf"), options); }),
                testing::HasSubstr("has no form in a Hugging Face folder"));
    return;
  }
  for (const char* mix : {"BF16", "F16", "F32"}) {
    SCOPED_TRACE(mix);
    const auto file = GgufFile::open(make(mix));
    const fs::path folder = home_.path() / "folder";
    fs::create_directories(folder);
    const JsonFile config = JsonFile::parse(preset->config, "config");
    write_json(folder / "config.json", config.root());
    write_safetensors(folder / "model.safetensors", hugging_face_tensors(*file, *row, row->read(Metadata(*file))));
    write_tokenizer(folder, *file);
    QuantizeOptions options;
    options.mix = mix;
    quantize(folder.string(), path("converted.gguf"), options);
    const auto converted = GgufFile::open(path("converted.gguf"));
    EXPECT_EQ(converted->tensors().size(), file->tensors().size());
    for (const GgufTensor& tensor : file->tensors()) {
      const GgufTensor& other = converted->tensor(tensor.name);
      EXPECT_EQ(tensor.shape, other.shape) << tensor.name;
      ASSERT_EQ(tensor.type, other.type) << tensor.name;
      if (has_other_values(*row, tensor.name)) {  // rounded on the way there and on the way back
        const auto *a = reinterpret_cast<const float*>(tensor.data), *b = reinterpret_cast<const float*>(other.data);
        for (uint64_t i = 0; i < tensor.elements(); ++i) ASSERT_NEAR(a[i], b[i], 2e-7f) << tensor.name;
      } else {
        EXPECT_EQ(std::memcmp(tensor.data, other.data, tensor.bytes), 0) << tensor.name;
      }
    }
    for (const auto& [key, value] : file->metadata()) EXPECT_NE(converted->find(key), nullptr) << key;
    const auto tokens = some_tokens(20);
    const auto expected = all_logits(Model::load(path()), tokens),
               got = all_logits(Model::load(path("converted.gguf")), tokens);
    const auto& layer_rows = row->tensors.layer;
    if (std::any_of(layer_rows.begin(), layer_rows.end(), [](const TensorRow& one) { return changes_values(one); }))
      EXPECT_LT(nmse(got, expected), 1e-6);
    else EXPECT_EQ(got, expected);
  }
}

// Folders of models that see pictures: their text model stands in an object of config.json and under a longer prefix,
// beside tensors that it has no use for.
TEST_P(Architectures, AFolderOfALargerModelGivesItsTextModel) {
  const auto& [row, preset] = GetParam();
  const auto file = GgufFile::open(make("F16"));
  if (has_no_folder(*row, row->read(Metadata(*file)))) GTEST_SKIP() << "no folder of it is read";
  const JsonFile config = JsonFile::parse(preset->config, "config");
  const fs::path folder = home_.path() / "folder";
  fs::create_directories(folder);
  write_tokenizer(folder, *file);
  const auto convert = [&](const nlohmann::json& with, const HfTensors& tensors, const char* name) {
    write_json(folder / "config.json", with);
    write_safetensors(folder / "model.safetensors", tensors);
    QuantizeOptions options;
    options.mix = "F16";
    quantize(folder.string(), path(name), options);
    return slurp(path(name));
  };
  const HfTensors plain = hugging_face_tensors(*file, *row, row->read(Metadata(*file)));
  const std::string type = config.string("model_type", "");
  for (const HuggingFaceType& larger : row->hugging_face) {
    if (larger.prefix == "model." || type != std::string(larger.name) + "_text") continue;
    const std::string expected = convert(config.root(), plain, "plain.gguf");
    HfTensors renamed;
    for (const auto& [name, tensor] : plain) {
      const bool inside = name.starts_with("model.");
      renamed[inside ? std::string(larger.prefix) + name.substr(6) : name] = tensor;
    }
    for (const std::string_view beginning : larger.left_out)
      renamed[std::string(beginning) + "weight"] = {"F16", {2, 3}, std::string(12, 'x')};
    const nlohmann::json outer = {{"model_type", larger.name}, {"text_config", config.root()}};
    EXPECT_EQ(convert(outer, renamed, "larger.gguf"), expected) << larger.name;
  }
}

// Blocks for the prediction of several tokens (MTP) stand behind the layers.
TEST_P(Architectures, BlocksBehindTheLayersAreLeftOut) {
  const auto file = GgufFile::open(make("Q8_0"));
  const auto tokens = some_tokens(10);
  const auto model = Model::load(path());
  const std::string prefix = std::string(GetParam().row->name) + ".";
  const int layers = model->info().layers;
  GgufWriter writer;
  for (const auto& [key, value] : file->metadata()) writer.copy(key, value);
  writer.set(prefix + "block_count", static_cast<uint32_t>(layers + 1));
  writer.set(prefix + "nextn_predict_layers", uint32_t{1});
  for (const GgufTensor& tensor : file->tensors()) {
    const std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
    const std::span<const std::byte> data(tensor.data, tensor.bytes);
    writer.add_tensor(std::string(tensor.name), *tensor.type, shape, data);
    if (tensor.name.starts_with("blk.0.")) {
      const std::string rest(tensor.name.substr(6));
      writer.add_tensor("blk." + std::to_string(layers) + "." + rest, *tensor.type, shape, data);
    }
  }
  writer.write(path("longer.gguf"));
  const auto longer = Model::load(path("longer.gguf"));
  EXPECT_EQ(longer->info().layers, layers);
  EXPECT_EQ(longer->info().unused_blocks, 1);
  EXPECT_EQ(inspect_model(path("longer.gguf")).layers, layers);
  EXPECT_EQ(all_logits(longer, tokens), all_logits(model, tokens));
}

std::string test_name(const testing::TestParamInfo<Case>& one) {
  std::string name;
  for (const char c : one.param.preset->name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, Architectures, testing::ValuesIn(small_presets()), test_name);
INSTANTIATE_TEST_SUITE_P(All, CausalArchitectures, testing::ValuesIn(small_presets(false)), test_name);
INSTANTIATE_TEST_SUITE_P(All, Encoders, testing::ValuesIn(small_presets(true)), test_name);

}  // namespace
}  // namespace fieldprint
