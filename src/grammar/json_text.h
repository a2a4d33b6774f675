// How JSON is written in a grammar: white space, strings with their escapes, values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "grammar/expression.h"
#include "grammar/program.h"

namespace fieldprint {

// Appends to a program, which outlives it. Functions that take a node return the one behind what they append.
class JsonText {
 public:
  JsonText(Program& program, bool compact) : p_(program), compact_(compact) {}

  // White space where it may stand: nothing, one space, or a new line with an indent of at most 24; bounded, so that a
  // model cannot lose itself in it.
  NodeId gap(NodeId from);
  NodeId colon(NodeId from);                        // and the space that may follow
  NodeId name(NodeId from, std::string_view name);  // in quotes, and its colon
  NodeId constant(NodeId from, const nlohmann::ordered_json& value);

  // A string of `min` to `max` characters, each as it is or escaped.
  NodeId string(NodeId from, uint32_t min = 0, uint32_t max = kUnbounded);
  // Characters inside of quotes in one way only: as they are where JSON lets them, else by their shortest escape.
  static NodeId write(Program& program, NodeId from, const CharSet& set);

  NodeId list(NodeId from, RuleId item);  // an array of any length
  RuleId any_value();                     // nested as deep as the program lets it
  NodeId any_object(NodeId from);

 private:
  NodeId character(NodeId from);
  RuleId rule(RuleId& known, NodeId (JsonText::*fill)(NodeId));
  NodeId gap_body(NodeId from);
  NodeId string_body(NodeId from) { return string(from, 0, kUnbounded); }
  NodeId value_body(NodeId from);
  NodeId member(NodeId from);

  Program& p_;
  bool compact_;
  RuleId gap_ = kAbsent, character_ = kAbsent, string_ = kAbsent, value_ = kAbsent, member_ = kAbsent;
};

// Any JSON number of up to 16 digits before and behind the point, with an exponent of up to two: finite as a double.
Expression any_number();

}  // namespace fieldprint
