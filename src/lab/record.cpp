#include "lab/record.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/number.h"
#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint {

using Json = nlohmann::ordered_json;

double short_number(float value) { return strtod_c(fmt::format("{}", value).c_str()); }

// By argument-dependent look-up of nlohmann.
static void to_json(Json& to, const LabSettings& s) {
  to = {{"task", s.task},
        {"length", s.length},
        {"vocabulary", s.vocabulary},
        {"text", s.text},
        {"content", s.content},
        {"tokenizer", s.tokenizer},
        {"kind", s.kind},
        {"layers", s.layers},
        {"width", s.width},
        {"heads", s.heads},
        {"ffn", s.ffn},
        {"residual", s.residual},
        {"norm", s.norm},
        {"head_norm", s.head_norm},
        {"rope", s.rope},
        {"bias", s.bias},
        {"embedding_deviation", short_number(s.embedding_deviation)},
        {"seed", s.seed},
        {"steps", s.steps},
        {"batch", s.batch},
        {"learning_rate", short_number(s.learning_rate)},
        {"every", s.every},
        {"held_out", s.held_out}};
}

static void from_json(const Json& from, LabSettings& s) {
  from.at("task").get_to(s.task);
  from.at("length").get_to(s.length);
  from.at("vocabulary").get_to(s.vocabulary);
  from.at("text").get_to(s.text);
  from.at("tokenizer").get_to(s.tokenizer);
  from.at("content").get_to(s.content);
  from.at("kind").get_to(s.kind);
  from.at("layers").get_to(s.layers);
  from.at("width").get_to(s.width);
  from.at("heads").get_to(s.heads);
  from.at("ffn").get_to(s.ffn);
  from.at("residual").get_to(s.residual);
  from.at("norm").get_to(s.norm);
  from.at("head_norm").get_to(s.head_norm);
  from.at("rope").get_to(s.rope);
  from.at("bias").get_to(s.bias);
  from.at("embedding_deviation").get_to(s.embedding_deviation);
  from.at("seed").get_to(s.seed);
  from.at("steps").get_to(s.steps);
  from.at("batch").get_to(s.batch);
  from.at("learning_rate").get_to(s.learning_rate);
  from.at("every").get_to(s.every);
  from.at("held_out").get_to(s.held_out);
}

namespace {

// JSON has no NaN: null stands for it.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
double number_of(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

Json summary(const LabRun& run) {
  return {{"parameters", run.parameters},
          {"steps_to_threshold", run.steps_to_threshold},
          {"loss", number(run.loss)},
          {"accuracy", number(run.accuracy)},
          {"train_loss", number(run.train_loss)},
          {"seconds", run.seconds},
          {"step_seconds", run.step_seconds},
          {"tokens_per_second", run.tokens_per_second},
          {"threads", run.threads},
          {"side_by_side", run.side_by_side},
          {"isa", run.isa},
          {"skipped", run.skipped},
          {"weights_hash", run.weights_hash}};
}

}  // namespace

std::string run_name(const LabSettings& settings) {
  const std::string all = Json(settings).dump();
  return fmt::format("{}-lr{:g}-seed{}-{}", settings.kind, settings.learning_rate, settings.seed,
                     sha256_hex(std::as_bytes(std::span(all))).substr(0, 8));
}

bool same_settings(const LabSettings& a, const LabSettings& b) { return Json(a) == Json(b); }

std::string run_json(const LabRun& run) {
  Json points = Json::array();  // [step, loss, norm] or [step, loss, norm, held_out_loss, accuracy]
  for (const LabPoint& p : run.points) {
    Json point = {p.step, number(p.loss), number(p.norm)};
    if (p.accuracy >= 0) point.push_back(number(p.held_out_loss)), point.push_back(p.accuracy);
    points.push_back(std::move(point));
  }
  return Json{{"settings", run.settings}, {"result", summary(run)}, {"points", points}}.dump() + "\n";
}

LabRun parse_run(const std::string& text, const std::string& where) {
  const Json all = parse_ordered_json(text, where, {.kind = ErrorKind::kBadFile});
  LabRun run;
  try {
    all.at("settings").get_to(run.settings);
    const Json& r = all.at("result");
    r.at("parameters").get_to(run.parameters);
    r.at("steps_to_threshold").get_to(run.steps_to_threshold);
    run.loss = number_of(r.at("loss"));
    run.accuracy = number_of(r.at("accuracy"));
    run.train_loss = number_of(r.at("train_loss"));
    r.at("seconds").get_to(run.seconds);
    r.at("step_seconds").get_to(run.step_seconds);
    r.at("tokens_per_second").get_to(run.tokens_per_second);
    r.at("threads").get_to(run.threads);
    r.at("side_by_side").get_to(run.side_by_side);
    r.at("isa").get_to(run.isa);
    r.at("skipped").get_to(run.skipped);
    r.at("weights_hash").get_to(run.weights_hash);
    for (const Json& p : all.at("points")) {
      LabPoint point{.step = p.at(0).get<int64_t>(), .loss = number_of(p.at(1)), .norm = number_of(p.at(2))};
      if (p.size() > 3) point.held_out_loss = number_of(p.at(3)), point.accuracy = p.at(4).get<double>();
      run.points.push_back(point);
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kBadFile, "is not the record of a run", where, "remove it, and the run is done again");
  }
  return run;
}

std::string steps_csv(std::span<const LabRun> runs) {
  std::string out = "kind,learning_rate,seed,step,loss,norm,held_out_loss,accuracy\n";
  for (const LabRun& run : runs) {
    const LabSettings& s = run.settings;
    for (const LabPoint& p : run.points) {
      out += fmt::format("{},{:g},{},{},{:.6f},{:.6f}", s.kind, s.learning_rate, s.seed, p.step, p.loss, p.norm);
      out += p.accuracy >= 0 ? fmt::format(",{:.6f},{:.6f}\n", p.held_out_loss, p.accuracy) : ",,\n";
    }
  }
  return out;
}

std::string steps_jsonl(std::span<const LabRun> runs) {
  std::string out;
  for (const LabRun& run : runs) {
    const LabSettings& s = run.settings;
    for (const LabPoint& p : run.points) {
      Json row = {{"kind", s.kind},         {"learning_rate", short_number(s.learning_rate)},
                  {"seed", s.seed},         {"step", p.step},
                  {"loss", number(p.loss)}, {"norm", number(p.norm)}};
      if (p.accuracy >= 0) row["held_out_loss"] = number(p.held_out_loss), row["accuracy"] = p.accuracy;
      out += row.dump() + "\n";
    }
  }
  return out;
}

std::string runs_csv(std::span<const LabRun> runs) {
  std::string out =
      "kind,learning_rate,seed,parameters,steps,steps_to_99,loss,accuracy,train_loss,seconds,tokens_per_second,threads,"
      "side_by_side,skipped,weights_sha256\n";
  for (const LabRun& r : runs) {
    const LabSettings& s = r.settings;
    out += fmt::format(
        "{},{:g},{},{},{},{},{:.6f},{:.6f},{:.6f},{:.3f},{:.0f},{},{},{},{}\n", s.kind, s.learning_rate, s.seed,
        r.parameters, s.steps, r.steps_to_threshold < 0 ? "" : std::to_string(r.steps_to_threshold), r.loss, r.accuracy,
        r.train_loss, r.seconds, r.tokens_per_second, r.threads, r.side_by_side, r.skipped, r.weights_hash);
  }
  return out;
}

std::string runs_jsonl(std::span<const LabRun> runs) {
  std::string out;
  for (const LabRun& run : runs) out += Json{{"settings", run.settings}, {"result", summary(run)}}.dump() + "\n";
  return out;
}

}  // namespace fieldprint
