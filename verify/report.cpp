#include "report.h"

#include <fmt/format.h>

#include "text.h"

namespace fieldprint::verify {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') (result += '\\') += c;
    else if (static_cast<uint8_t>(c) < 0x20) result += fmt::format("\\u{:04x}", c);
    else result += c;
  }
  return result += '"';
}

std::string described(const Place& place) {
  std::string text;
  const auto add = [&](std::string part) { text += (text.empty() ? "" : ", ") + std::move(part); };
  if (place.event) add(fmt::format("event {}", *place.event));
  if (place.record) add(fmt::format("record {}", hex(view(*place.record))));
  if (!place.file.empty()) add(fmt::format("file {}", printable(place.file)));
  return text.empty() ? "" : fmt::format(" ({})", text);
}

}  // namespace

void Report::fault(std::string_view rule, std::string what, Place place) {
  faults_.push_back({std::string(rule), std::move(what), std::move(place)});
  if (full()) throw TooManyFaults();
}

std::string Report::text() const {
  std::string text;
  for (const std::string& sentence : checked_) text += sentence + "\n";
  for (const Fault& fault : faults_)
    text += fmt::format("FAULT {}: {}{}\n", fault.rule, fault.what, described(fault.place));
  if (sound()) return text + "No fault found.\n";
  return text + fmt::format("{} fault{} found{}.\n", faults_.size(), faults_.size() == 1 ? "" : "s",
                            full() ? ", and stopped looking" : "");
}

std::string Report::json() const {
  std::string text = fmt::format("{{\"sound\": {}, \"complete\": {}, \"counts\": {{", sound(), !full());
  for (size_t i = 0; i < counts_.size(); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", quoted(counts_[i].first), counts_[i].second);
  text += "}, \"checked\": [";
  for (size_t i = 0; i < checked_.size(); ++i) text += (i == 0 ? "" : ", ") + quoted(checked_[i]);
  text += "], \"faults\": [";
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Fault& fault = faults_[i];
    text += fmt::format("{}{{\"rule\": {}, \"what\": {}", i == 0 ? "" : ", ", quoted(fault.rule), quoted(fault.what));
    if (fault.place.event) text += fmt::format(", \"event\": {}", *fault.place.event);
    if (fault.place.record) text += fmt::format(", \"record\": \"{}\"", hex(view(*fault.place.record)));
    if (!fault.place.file.empty()) text += fmt::format(", \"file\": {}", quoted(printable(fault.place.file)));
    text += "}";
  }
  return text + "]}\n";
}

}  // namespace fieldprint::verify
