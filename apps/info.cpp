// `fieldprint info`: what is in a model file, and how much memory it needs; what an adapter changes.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/adapter.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"

namespace fieldprint::cli {

namespace {

struct Info {
  std::string model, named;  // --model, and the positional
  int context = 0;
  bool json = false, every_tensor = false;
};

std::string shape_text(const TensorInfo& tensor) { return fmt::format("{}", fmt::join(tensor.shape, " x ")); }

// "blk.7.attn_q.weight" and its brothers are one row: "blk.*.attn_q.weight".
std::string pattern_of(const std::string& name) {
  std::string pattern;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool number = std::isdigit(static_cast<unsigned char>(name[i])) && i > 0 && name[i - 1] == '.';
    size_t end = i;
    while (number && end < name.size() && std::isdigit(static_cast<unsigned char>(name[end]))) ++end;
    if (number && (end == name.size() || name[end] == '.')) {
      pattern += '*';
      i = end - 1;
    } else {
      pattern += name[i];
    }
  }
  return pattern;
}

struct TensorRow {
  std::string name, type, shape;
  uint64_t bytes = 0;
  int count = 0;
};

void add_row(std::vector<TensorRow>& rows, const TensorRow& tensor, bool each) {
  const std::string name = each ? tensor.name : pattern_of(tensor.name);
  auto row = std::find_if(rows.begin(), rows.end(), [&](const TensorRow& r) {
    return r.name == name && r.type == tensor.type && r.shape == tensor.shape;
  });
  if (row == rows.end()) row = rows.insert(rows.end(), {name, tensor.type, tensor.shape, 0, 0});
  row->bytes += tensor.bytes;
  ++row->count;
}

std::vector<TensorRow> tensor_rows(const ModelInfo& info, bool each) {
  std::vector<TensorRow> rows;
  for (const auto& tensor : info.tensors)
    add_row(rows, {tensor.name, tensor.type, shape_text(tensor), tensor.bytes}, each);
  return rows;
}

void print_rows(const std::vector<TensorRow>& rows) {
  size_t name = 0, type = 0, shape = 0;
  for (const auto& r : rows) {
    name = std::max(name, r.name.size());
    type = std::max(type, r.type.size());
    shape = std::max(shape, r.shape.size());
  }
  for (const auto& r : rows)
    write_out(fmt::format("  {:<{}}  {:<{}}  {:<{}}  {:>10}{}\n", printable_line(r.name), name, r.type, type, r.shape,
                          shape, bytes_text(r.bytes),
                          r.count > 1 ? fmt::format("  ({} of them)", r.count) : std::string()));
}

void print_row(const char* name, const std::string& value) {
  write_out(fmt::format("  {:<14}{}\n", name, printable_line(value)));
}

void print_heading(const std::string& text) { write_out(printable_line(text) + "\n", Style::kBold); }

uint64_t weight_bytes(const ModelInfo& info) {
  uint64_t bytes = 0;
  for (const auto& tensor : info.tensors) bytes += tensor.bytes;
  return bytes;
}

std::string fitting(const std::string& text, size_t width) {
  if (text.size() <= width) return text;
  size_t end = width - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

// "1.0 KiB per token, 15.0 KiB for each of the last 1024"
std::string each_token(const ModelInfo& info) {
  std::string text;
  if (info.kv_bytes_per_token > 0) text = fmt::format("{} per token", bytes_text(info.kv_bytes_per_token));
  for (const WindowMemory& window : info.kv_windows) {
    text += fmt::format("{}{} for each of the last {}", text.empty() ? "" : ", ", bytes_text(window.bytes_per_token),
                        window.tokens);
  }
  return text;
}

void print_text(const ModelInfo& info, int context, bool every_tensor) {
  const auto row = print_row;
  const auto heading = print_heading;
  heading(info.name.empty() ? info.path : info.name);
  const std::string files = info.files > 1 ? fmt::format(" in {} files", info.files) : "";
  row("file", fmt::format("{} ({}{})", info.path, bytes_text(info.file_bytes), files));
  row("architecture", info.architecture);
  std::string parameters = count_text(info.parameters);
  if (info.active_parameters > 0 && info.active_parameters != info.parameters)
    parameters += fmt::format(" ({} active)", count_text(info.active_parameters));
  row("parameters", parameters);
  row("shape", fmt::format("{} layers, width {}, vocabulary {}", info.layers, info.width, info.vocabulary));
  if (info.unused_blocks > 0)
    row("left out", fmt::format("{} block{} behind the layers, for the prediction of several tokens at once",
                                info.unused_blocks, info.unused_blocks == 1 ? "" : "s"));
  row("context", fmt::format("{} tokens", info.context));

  const uint64_t weights = weight_bytes(info), kv = info.kv_bytes(static_cast<uint64_t>(context));
  write_out("\n");
  heading(fmt::format("Memory at a context of {}", context));
  row("weights", bytes_text(weights));
  const bool keeps_tokens = info.kv_bytes_per_token > 0 || !info.kv_windows.empty();
  if (keeps_tokens) row("keys, values", fmt::format("{} ({})", bytes_text(kv), each_token(info)));
  else if (info.state_bytes == 0 && !info.encoder) row("keys, values", "unknown for this file");
  if (info.state_bytes > 0) row("state", fmt::format("{} for a sequence of any length", bytes_text(info.state_bytes)));
  row("together", bytes_text(weights + kv + info.state_bytes));

  write_out("\n");
  heading(fmt::format("Metadata ({})", info.metadata.size()));
  size_t key = 0;
  for (const auto& entry : info.metadata) key = std::max(key, entry.key.size());
  for (const auto& entry : info.metadata) {
    std::string value = printable_line(entry.value);
    if (out_is_terminal()) value = fitting(value, std::max<size_t>(24, 80 - std::min<size_t>(key + 4, 56)));
    write_out(fmt::format("  {:<{}}  {}\n", printable_line(entry.key), key, value));
  }

  write_out("\n");
  heading(fmt::format("Tensors ({})", info.tensors.size()));
  print_rows(tensor_rows(info, every_tensor));
}

// One number, or from the least to the most.
std::string rank_text(const AdapterInfo& info) {
  const auto [least, most] =
      std::minmax_element(info.tensors.begin(), info.tensors.end(),
                          [](const AdapterTensor& a, const AdapterTensor& b) { return a.rank < b.rank; });
  return least->rank == most->rank ? fmt::format("{}", least->rank) : fmt::format("{} to {}", least->rank, most->rank);
}

void print_adapter(const AdapterInfo& info, bool every_tensor) {
  print_heading(info.path);
  print_row("adapter", fmt::format("LoRA ({}, {})", info.format, bytes_text(info.file_bytes)));
  if (!info.architecture.empty()) print_row("architecture", info.architecture);
  if (!info.base.empty()) print_row("base model", info.base);
  print_row("parameters", count_text(info.parameters));
  print_row("rank", rank_text(info));
  print_row("scale", info.alpha == 0        ? "1"
                     : info.rank_stabilised ? fmt::format("{} / sqrt(rank)", info.alpha)
                                            : fmt::format("{} / rank", info.alpha));
  write_out("\n");
  print_heading(fmt::format("Matrices changed ({})", info.tensors.size()));
  std::vector<TensorRow> rows;
  for (const AdapterTensor& t : info.tensors) {
    const std::string experts = t.matrices > 1 ? fmt::format(" x {}", t.matrices) : "";
    add_row(rows, {t.name, t.type, fmt::format("{} x {}{}, rank {}", t.inputs, t.outputs, experts, t.rank), t.bytes},
            every_tensor);
  }
  print_rows(rows);
}

void print_adapter_json(const AdapterInfo& info) {
  nlohmann::ordered_json json = {{"path", info.path},
                                 {"adapter", "lora"},
                                 {"format", info.format},
                                 {"architecture", info.architecture},
                                 {"base", info.base},
                                 {"file_bytes", info.file_bytes},
                                 {"parameters", info.parameters},
                                 {"alpha", info.alpha},
                                 {"rank_stabilised", info.rank_stabilised},
                                 {"tensors", nlohmann::ordered_json::array()}};
  for (const AdapterTensor& t : info.tensors) {
    json["tensors"].push_back({{"name", t.name},
                               {"type", t.type},
                               {"inputs", t.inputs},
                               {"outputs", t.outputs},
                               {"rank", t.rank},
                               {"matrices", t.matrices},
                               {"bytes", t.bytes}});
  }
  write_json(json, 2);
}

void print_json(const ModelInfo& info, int context) {
  nlohmann::ordered_json json = {{"path", info.path},
                                 {"name", info.name},
                                 {"architecture", info.architecture},
                                 {"file_bytes", info.file_bytes},
                                 {"files", info.files},
                                 {"parameters", info.parameters},
                                 {"active_parameters", info.active_parameters},
                                 {"layers", info.layers},
                                 {"unused_blocks", info.unused_blocks},
                                 {"width", info.width},
                                 {"vocabulary", info.vocabulary},
                                 {"context", info.context}};
  const uint64_t weights = weight_bytes(info), kv = info.kv_bytes(static_cast<uint64_t>(context));
  auto windows = nlohmann::ordered_json::array();
  for (const WindowMemory& window : info.kv_windows)
    windows.push_back({{"tokens", window.tokens}, {"bytes_per_token", window.bytes_per_token}});
  json["memory"] = {{"context", context},
                    {"weight_bytes", weights},
                    {"kv_bytes_per_token", info.kv_bytes_per_token},
                    {"kv_windows", windows},
                    {"kv_bytes", kv},
                    {"state_bytes", info.state_bytes},
                    {"total_bytes", weights + kv + info.state_bytes}};
  json["metadata"] = nlohmann::ordered_json::array();
  for (const auto& entry : info.metadata)
    json["metadata"].push_back({{"key", entry.key}, {"type", entry.type}, {"value", entry.value}});
  json["tensors"] = nlohmann::ordered_json::array();
  for (const auto& tensor : info.tensors)
    json["tensors"].push_back(
        {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  write_json(json, 2);
}

}  // namespace

Action add_info(CLI::App& app) {
  auto options = std::make_shared<Info>();
  add_text(app, "MODEL", options->named, "MODEL", "The model, if not given by --model, or an adapter");
  add_model(app, options->model);
  add_integer(app, "-c,--context", options->context, 0,
              "Tokens to estimate the memory for; 0 = what the model was trained for")
      ->group("Model");
  add_flag(app, "--tensors", options->every_tensor, "One row for each tensor instead of one for each kind")
      ->group("Output");
  add_flag(app, "--json", options->json, "One JSON object, with every tensor")->group("Output");
  app.footer(
      "  fieldprint info smollm2-135m\n"
      "  fieldprint info --context 32768 model.gguf\n"
      "  fieldprint info --json model.gguf | jq .memory");
  const auto* model_flag = app.get_option("--model");
  return [options, model_flag] {
    if (!options->named.empty() && !model_flag->empty() && options->model != options->named && !options->model.empty())
      throw Error(ErrorKind::kUsage,
                  fmt::format("two models, {} and {}: one at a time", options->named, options->model));
    const std::string& wanted = options->named.empty() ? options->model : options->named;
    if (is_adapter(wanted)) {
      const AdapterInfo adapter = inspect_adapter(wanted);
      if (options->json) print_adapter_json(adapter);
      else print_adapter(adapter, options->every_tensor);
      return kDone;
    }
    const ModelInfo info = inspect_model(model_path(wanted));
    const int context = options->context > 0 ? options->context : info.context;
    show_warnings(info);
    if (options->json) print_json(info, context);
    else print_text(info, context, options->every_tensor);
    return kDone;
  };
}

}  // namespace fieldprint::cli
