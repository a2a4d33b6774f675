// Python's operators on values.
#pragma once

#include <optional>
#include <string_view>

#include "jinja/value.h"

namespace fieldprint::jinja {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

bool truthy(Value value);
bool equal(Heap& heap, Value a, Value b);
bool same(Heap& heap, Value a, Value b);  // `is`
bool compare(Heap& heap, CompareOp op, Value a, Value b);
bool contains(Heap& heap, Value container, Value item);
Value binary(Heap& heap, BinaryOp op, Value a, Value b);
Value negate(Heap& heap, Value value);
Value positive(Heap& heap, Value value);

// A number as a double: kBool, kInt, kFloat, kBigInt.
double to_double(Value number);
// An index or count: kBool or kInt; throws "'str' object cannot be interpreted as an integer".
int64_t to_index(Value value);

std::optional<int64_t> length_of(Value value);  // empty where len() would fail
int64_t length(Heap& heap, Value value);        // throws: object of type 'int' has no len()

// sequence[start:stop:step], missing or none where left out.
Value slice(Heap& heap, Value sequence, Value start, Value stop, Value step);

bool is_iterable(Value value);

// Walks over what Python could iterate. Constructing it throws "'int' object is not iterable".
class Iteration {
 public:
  Iteration(Heap& heap, Value value);
  bool next(Value& item);

 private:
  Heap* heap_;
  Value value_;
  size_t next_ = 0;
};

// All items at once; a list's own storage where there is one.
std::span<const Value> collect(Heap& heap, Value value);

}  // namespace fieldprint::jinja
