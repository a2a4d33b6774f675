#!/bin/bash
# tools/setup against an apt of the test's own: nothing is installed, and what would be is written down.
set -u
setup=$PWD/tools/setup
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0
fault() { echo "setup: $*"; faults=1; }
program() { printf '#!/bin/bash\n%s\n' "$2" > "$work/$1"; chmod +x "$work/$1"; }
run() { output=$(env -i PATH="$work" "$setup" "$@" 2>&1 < /dev/null); status=$?; }

for name in bash env sed rm; do ln -s "$(command -v $name)" "$work/$name"; done

run
[ $status -eq 0 ] && [[ $output == *"no apt"*g++*cmake* ]] || fault "without apt: $status $output"

program dpkg-query 'for package in "${@:4}"; do echo "installed $package"; done'
program apt-get "echo \"\$*\" >> $work/log; [ ! -e $work/broken ] || { rm $work/broken; exit 100; }"
program id 'echo ${FAKE_ID:-0}'
run
[ $status -eq 0 ] && [ -z "$output" ] || fault "nothing missing: $status $output"
for group in build test dev; do
  run $group
  [ $status -eq 0 ] && [ -z "$output" ] || fault "nothing missing for $group: $status $output"
done
[ ! -e "$work/log" ] || fault "apt was called though nothing is missing"

program dpkg-query 'for package in "${@:4}"; do [ $package = cmake ] || echo "installed $package"; done; exit 1'
run
[ $status -eq 0 ] && [[ $output == *"installing cmake"* ]] || fault "cmake missing: $status $output"
grep -q 'install -y --no-install-recommends cmake$' "$work/log" || fault "installs not just cmake: $(cat "$work/log")"

: > "$work/log"; touch "$work/broken"  # the first call fails: stale package lists
run
[ $status -eq 0 ] || fault "after a failure: $status $output"
[[ $(grep -oE ' (update|install) ?' "$work/log" | tail -2 | tr -d ' \n') == updateinstall ]] || fault "no second try: $(cat "$work/log")"

program apt-get 'echo "E: no"; exit 100'
run
[ $status -eq 1 ] && [[ $output == *"run as root and see why"*"apt-get update && apt-get install"*cmake* ]] || fault "apt fails: $status $output"

program id 'echo 1000'
run
[ $status -eq 1 ] && [[ $output == *"please run as root"*"apt-get install -y --no-install-recommends cmake"* ]] ||
  fault "no root and no sudo: $status $output"
program sudo "echo \"sudo \$*\" >> $work/log"
: > "$work/log"
run
[ $status -eq 0 ] && grep -q '^sudo -n env .*apt-get.* install .*cmake$' "$work/log" || fault "with sudo: $status $output $(cat "$work/log")"

# Each group holds the ones before it, and whoever only wants an answer gets no test libraries.
program id 'echo 0'
program apt-get ':'
program dpkg-query 'exit 1'
run build
built=${output#*installing }
[[ $built == *g++*python3-pip* ]] && [[ $built != *gtest* && $built != *clang* ]] || fault "the group build: $output"
run test
[[ $output == *"$built"*gtest* ]] && [[ $output != *clang* ]] || fault "the group test: $output"
run dev
[[ $output == *"$built"*gtest*clang-format* ]] || fault "the group dev: $output"

run --nonsense
[ $status -eq 2 ] || fault "an unknown flag: $status $output"
[ $faults -eq 0 ] && echo "setup: installs what is missing, no more"
exit $faults
