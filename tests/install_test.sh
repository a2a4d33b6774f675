#!/bin/bash
# `cmake --install` into a fresh prefix: the README's library example, to the letter, builds against it by find_package and
# by pkg-config, and against the source tree by add_subdirectory; it runs where the default model is. The program has its
# completions and its man page.
set -u
source=$PWD build=${FIELDPRINT_BUILD:-$PWD/build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0
fault() { echo "install: $*"; faults=1; }
quietly() { "$@" > "$work/log" 2>&1 || { tail -20 "$work/log"; return 1; }; }

grep -q -- '-fsanitize' "$build/CMakeCache.txt" && { echo "install: skipped, a library with sanitizers is for nobody else"; exit 77; }

# The first program in C++ of the README.
mkdir "$work/user"
awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md > "$work/user/main.cpp"
grep -q 'int main(' "$work/user/main.cpp" || { fault "README.md has no program in C++"; exit 1; }

quietly cmake --install "$build" --prefix "$work/prefix" || { fault "cmake --install fails"; exit 1; }
lib=$(dirname "$(dirname "$(dirname "$(find "$work/prefix" -name fieldprint-config.cmake)")")")
for file in bin/fieldprint bin/fieldprint-verify share/bash-completion/completions/fieldprint share/zsh/site-functions/_fieldprint \
            share/fish/vendor_completions.d/fieldprint.fish share/man/man1/fieldprint.1; do
  [ -s "$work/prefix/$file" ] || fault "$file was not installed"
done
bash -c "source '$work/prefix/share/bash-completion/completions/fieldprint' && complete -p fieldprint" > /dev/null ||
  fault "the completion for bash completes nothing"
for heading in NAME COMMANDS 'FIELDPRINT RUN'; do
  grep -q "^\.SH $heading$" "$work/prefix/share/man/man1/fieldprint.1" || fault "the man page has no section $heading"
done
mv "$work/prefix" "$work/moved"  # nothing in it may say where it was
lib=${lib/$work\/prefix/$work\/moved}

cat > "$work/user/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(user CXX)
if(FIELDPRINT_SOURCE)
  add_subdirectory(${FIELDPRINT_SOURCE} fieldprint)
else()
  find_package(fieldprint REQUIRED)
endif()
add_executable(program main.cpp)
target_link_libraries(program PRIVATE fieldprint::fieldprint)
END

quietly cmake -S "$work/user" -B "$work/found" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" &&
  quietly cmake --build "$work/found" || fault "find_package(fieldprint): the README's program does not build"

# shellcheck disable=SC2046
PKG_CONFIG_PATH=$lib/pkgconfig quietly c++ -std=c++20 "$work/user/main.cpp" -o "$work/by_pkg_config" \
  $(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --cflags --libs fieldprint) ||
  fault "pkg-config fieldprint: the README's program does not build"

# As a part of another project: the headers and C++20 come along, the program and its libraries do not. The library itself
# has been built already, so it is not built again.
quietly cmake -S "$work/user" -B "$work/part" -G Ninja -DFIELDPRINT_SOURCE="$source" &&
  quietly cmake --build "$work/part" --target CMakeFiles/program.dir/main.cpp.o ||
  fault "add_subdirectory: the README's program does not compile"
targets=$(cmake --build "$work/part" --target help)
[[ $targets == *libfieldprint.a* ]] || fault "add_subdirectory: there is no library"
[[ $targets != *fieldprint_cli* && $targets != *fieldprint_tests* ]] || fault "add_subdirectory: the command line or the tests come along"
grep -q 'CLI11_DIR\|EDIT_LIBRARIES' "$work/part/CMakeCache.txt" && fault "add_subdirectory: looks for the command line's libraries"

ran=
if "$work/moved/bin/fieldprint" info smollm2-135m > /dev/null 2>&1; then
  for program in "$work/found/program" "$work/by_pkg_config"; do
    [ -x "$program" ] || continue
    [ -n "$("$program")" ] || fault "$program answers nothing"
    ran=" and runs"
  done
fi
[ $faults -eq 0 ] && echo "install: the README's program builds against an installed tree$ran"
exit $faults
