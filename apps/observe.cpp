// `fieldprint observe`: what one layer does with a text, as a picture: the attention of every head side by side, or the
// experts that each token chose.
#include "fieldprint/observe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"
#include "svg.h"

namespace fieldprint::cli {

namespace {

struct Observe {
  ModelOptions model;
  std::string text, out, experts_out;
  int layer = -1, head = -1;

  int operator()() const;
};

constexpr const char* kFont = "font-family=\"ui-monospace,Menlo,Consolas,monospace\"";

std::string header(double width, double height, const std::string& title) {
  width = std::max(width, 40 + 9.2 * static_cast<double>(title.size()));
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "{2}>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text x=\"16\" y=\"26\" font-size=\"15\" fill=\"#222222\">{3}</text>\n",
      width, height, kFont, title);
}

// Every so many tokens carry a label, so that labels of `height` pixels do not overlap: all of them where a cell is
// high enough.
int label_step(double cell, double height) { return std::max(1, static_cast<int>(std::ceil(height / cell))); }

constexpr double kLabelHeight = 9;

// One map: a cell for each pair that is not nothing, token labels beside it, fewer where cells are small.
std::string map_picture(const float* weights, int tokens, double x, double y, double cell, const std::string& title,
                        const std::vector<std::string>& labels) {
  const double size = cell * tokens;
  std::string out = fmt::format("<g transform=\"translate({:.1f},{:.1f})\">\n", x, y);
  out += fmt::format("<text x=\"0\" y=\"-6\" font-size=\"12\" fill=\"#444444\">{}</text>\n", title);
  out += "<g shape-rendering=\"crispEdges\">\n";
  for (int t = 0; t < tokens; ++t) {
    for (int j = 0; j <= t; ++j) {
      const float w = weights[int64_t{t} * tokens + j];
      if (w < 0.002f) continue;
      out += fmt::format("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n", j * cell,
                         t * cell, cell, cell, heat_colour(w));
    }
  }
  out += fmt::format("</g>\n<rect width=\"{0:.2f}\" height=\"{0:.2f}\" fill=\"none\" stroke=\"#999999\"/>\n", size);
  for (int t = 0; t < tokens; t += label_step(cell, kLabelHeight)) {
    out += fmt::format("<text x=\"-4\" y=\"{:.1f}\" font-size=\"9\" text-anchor=\"end\" fill=\"#444444\">{}</text>\n",
                       (t + 0.5) * cell + 3, labels[static_cast<size_t>(t)]);
    out += fmt::format(
        "<text transform=\"translate({:.1f},{:.1f}) rotate(90)\" font-size=\"9\" fill=\"#444444\">{}</text>\n",
        (t + 0.5) * cell - 3, size + 5, labels[static_cast<size_t>(t)]);
  }
  return out + "</g>\n";
}

std::string scale_picture(double x, double y) {
  std::string out = fmt::format("<g transform=\"translate({:.1f},{:.1f})\" font-size=\"11\" fill=\"#444444\">\n", x, y);
  constexpr float kMarks[] = {0, 0.01f, 0.05f, 0.25f, 0.5f, 1};
  double at = 0;
  for (const float mark : kMarks) {
    out += fmt::format(
        "<rect x=\"{0:.1f}\" width=\"14\" height=\"12\" fill=\"{1}\" stroke=\"#999999\"/><text x=\"{2:.1f}\" "
        "y=\"10\">{3:g}%</text>\n",
        at, heat_colour(mark), at + 18, static_cast<double>(mark) * 100);
    at += 62;
  }
  return out + "</g>\n";
}

std::string attention_picture(const Observation& seen, const std::string& title, int head,
                              const std::vector<std::string>& labels) {
  const int tokens = static_cast<int>(labels.size()), maps = head >= 0 ? 1 : seen.heads;
  const int columns = std::min(maps, static_cast<int>(std::ceil(std::sqrt(maps * 1.6))));
  const int rows = (maps + columns - 1) / columns;
  // Cells as large as a picture of about 1800 pixels allows.
  const double cell = std::clamp((maps == 1 ? 900.0 : 1800.0 / columns) / tokens, 1.0, 16.0);
  constexpr double margin = 86;
  const double map = cell * tokens;
  const double step_x = map + margin + 10, step_y = map + margin + 24;
  std::string out = header(std::max(columns * step_x + 26, 420.0), rows * step_y + 84, title) + scale_picture(16, 40);
  for (int i = 0; i < maps; ++i) {
    const int h = head >= 0 ? head : i;
    out += map_picture(seen.attention.data() + int64_t{h} * tokens * tokens, tokens, 16 + 70 + (i % columns) * step_x,
                       84 + (i / columns) * step_y, cell, fmt::format("head {}", h), labels);
  }
  return out + "</svg>\n";
}

std::string experts_picture(const Observation& seen, const std::string& title, const std::vector<std::string>& labels) {
  const auto tokens = static_cast<int>(labels.size());
  const double cell = std::clamp(1100.0 / seen.experts, 12.0, 24.0), left = 110, top = 92;
  std::string out =
      header(std::max(left + seen.experts * cell + 20, 420.0), top + tokens * cell + 20, title) + scale_picture(16, 40);
  out += fmt::format("<g transform=\"translate({},{})\">\n", left, top);
  std::vector<float> row(static_cast<size_t>(seen.experts));
  for (int e = 0; e < seen.experts; ++e)
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"-5\" font-size=\"9\" text-anchor=\"middle\" fill=\"#444444\">{}</text>\n",
                    (e + 0.5) * cell, e);
  for (int t = 0; t < tokens; ++t) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int r = 0; r < seen.active; ++r) {
      const auto i = static_cast<size_t>(t * seen.active + r);
      row[static_cast<size_t>(seen.chosen[i])] = seen.expert_weights[i];
    }
    out += fmt::format("<text x=\"-6\" y=\"{:.1f}\" font-size=\"10\" text-anchor=\"end\" fill=\"#444444\">{}</text>\n",
                       (t + 0.5) * cell + 3, labels[static_cast<size_t>(t)]);
    for (int e = 0; e < seen.experts; ++e) {
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" stroke=\"#e4e4e4\"/>\n",
          e * cell, t * cell, cell, cell, heat_colour(row[static_cast<size_t>(e)]));
    }
  }
  return out + "</g>\n</svg>\n";
}

void write_file(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

int Observe::operator()() const {
  if (layer < 0) throw Error(ErrorKind::kUsage, "--layer N is missing", {}, "layers are counted from 0");
  if (out.empty() && experts_out.empty())
    throw Error(ErrorKind::kUsage, "--out FILE is missing", {}, "--out attention.svg, or --experts-out experts.svg");
  for (const auto& file : {out, experts_out})
    if (!file.empty()) require_writable(file);
  const SignalGuard guard;
  const std::string said = text.empty() || text == "-"
                               ? read_input("`fieldprint observe --layer 0 --out map.svg \"The sky is blue.\"`")
                               : text;
  const auto loaded = load_model(model);
  const auto tokens = encode_prompt(loaded->tokenizer(), said);
  const Observation seen = observe(*loaded, tokens, layer);
  std::vector<std::string> labels;
  for (const TokenId token : tokens) labels.push_back(xml_text(token_label(loaded->tokenizer().piece(token), 10)));
  const std::string name = xml_text(model_title(loaded->info()));
  if (!out.empty()) {
    if (seen.heads == 0)
      throw Error(ErrorKind::kUsage, fmt::format("layer {} has no attention", layer), "--layer",
                  "in LFM2 most layers are short convolutions; `fieldprint info` lists the tensors");
    if (head >= seen.heads)
      throw Error(ErrorKind::kUsage, fmt::format("there is no head {}", head), "--head",
                  fmt::format("the layer has heads 0 to {}", seen.heads - 1));
    write_file(
        out, attention_picture(seen, fmt::format("{}: attention of layer {} (rows look at columns)", name, layer), head,
                               labels));
  }
  if (!experts_out.empty()) {
    if (seen.experts == 0)
      throw Error(ErrorKind::kUsage, fmt::format("layer {} has no experts", layer), "--layer",
                  "models of the architecture lfm2moe have them, except in their first layers");
    write_file(experts_out, experts_picture(seen, fmt::format("{}: experts of layer {}", name, layer), labels));
  }
  return kDone;
}

}  // namespace

Action add_observe(CLI::App& app) {
  auto observe = std::make_shared<Observe>();
  add_text(app, "TEXT", observe->text, "TEXT", "The text that the layer gets; without it, or for -, standard input");
  add_model(app, observe->model.model);
  add_experts(app, observe->model.load);
  add_adapters(app, observe->model.load);
  add_integer(app, "--layer", observe->layer, 0, "The layer, counted from 0")->default_str("")->group("Picture");
  add_integer(app, "--head", observe->head, 0, "One head alone, counted from 0")->default_str("all")->group("Picture");
  add_text(app, "--out", observe->out, "FILE", "The attention of every head, as SVG")->group("Picture");
  add_text(app, "--experts-out", observe->experts_out, "FILE", "The experts that each token chose, as SVG")
      ->group("Picture");
  add_threads(app, observe->model.load);
  app.footer(
      "  fieldprint observe --layer 3 --out layer3.svg \"The cat sat on the mat.\"\n"
      "  fieldprint observe -m lfm2-8b-a1b --layer 9 --experts-out e.svg \"Hello\"");
  return [observe] { return (*observe)(); };
}

}  // namespace fieldprint::cli
