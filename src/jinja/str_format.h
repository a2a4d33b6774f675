// Python's two ways of formatting text: "%s" % x and "{}".format(x).
#pragma once

#include "jinja/loop.h"
#include "jinja/value.h"

namespace fieldprint::jinja {

// format % arguments; a tuple gives several, a dict named ones.
Value format_percent(Heap& heap, const String& format, Value arguments);

// format.format(*positional, **named)
Value format_braces(Runtime& runtime, const String& format, const Args& args);

}  // namespace fieldprint::jinja
