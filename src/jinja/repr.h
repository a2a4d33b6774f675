// Values as text, the way Python prints them.
#pragma once

#include <string>

#include "jinja/text_builder.h"
#include "jinja/value.h"

namespace fieldprint::jinja {

std::string float_repr(double d);  // repr(): shortest digits that read back, 1e+16 from 16 digits on
void append_str(Heap& heap, TextBuilder& out, Value value);   // str(value)
void append_repr(Heap& heap, TextBuilder& out, Value value);  // repr(value)
std::string repr(Heap& heap, Value value);                    // for messages
const String& to_repr(Heap& heap, Value value);
const String& to_str(Heap& heap, Value value);       // str(value): plain, also for markup
const String& to_soft_str(Heap& heap, Value value);  // markup stays markup

// HTML-escaped as markupsafe does it; markup is left as it is. The result is markup.
const String& escape(Heap& heap, Value value);

}  // namespace fieldprint::jinja
