// A file inside the program, byte by byte: a list of numbers would take the compiler minutes.
#pragma once

#include <string_view>

// FIELDPRINT_EMBED(NAME, "PATH"), once and outside of namespaces, makes NAME_embedded(): the file's bytes.
// CMakeLists.txt gives the path, and says that the object depends on it.
#define FIELDPRINT_EMBED(name, path)                                                                              \
  asm(".pushsection .rodata\n"                                                                                    \
      ".global fieldprint_" #name "_begin, fieldprint_" #name                                                     \
      "_end\n"                                                                                                    \
      "fieldprint_" #name "_begin: .incbin \"" path                                                               \
      "\"\n"                                                                                                      \
      "fieldprint_" #name                                                                                         \
      "_end: .byte 0\n"                                                                                           \
      ".popsection\n");                                                                                           \
  extern "C" const char fieldprint_##name##_begin[], fieldprint_##name##_end[];                                   \
  static std::string_view name##_embedded() {                                                                     \
    return {fieldprint_##name##_begin, static_cast<size_t>(fieldprint_##name##_end - fieldprint_##name##_begin)}; \
  }
