#!/bin/bash
# The model of the memory's protocol (spin/memory.pml), searched exhaustively: tests/memory_spin_test.sh [--full]
# Then each guard that the model can do without is taken away in turn, and each time a violation must be found. --full
# searches three records together with the override, and everything at once over two (1.7 GB of memory); without it less
# is searched at a time. Skipped where spin or gcc is missing.
set -u
for tool in spin gcc; do
  command -v $tool > /dev/null || { echo "memory_spin: $tool is not installed"; exit 77; }
done
model=$(cd "$(dirname "$0")" && pwd)/spin/memory.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# search NAME BOUND FLAGS...: violations found, or "0 STATES"
search() {
  local name=$1 seconds=$2; shift 2
  local safety=(-DSAFETY -DNOFAIR) run=(-m400000 -w24)
  if [[ " $* " == *" -DLIVE="* ]]; then safety=(-DNFAIR=3); run=(-a -f -m400000 -w22 -N i10); fi
  mkdir "$work/$name" && cd "$work/$name" || return
  spin -a "$@" "$model" > spin.out 2>&1 || { echo "spin: $(tail -3 spin.out)"; return; }
  gcc -O"$optimise" -w "${safety[@]}" -DNOREDUCE -DMEMLIM=4000 -o pan pan.c || { echo "gcc"; return; }
  timeout "$seconds" ./pan "${run[@]}" > out 2>&1 || { echo "pan: no end in $seconds s: $(tail -1 out)"; return; }
  local errors states violation
  errors=$(grep -om1 'errors: [0-9]*' out) states=$(grep -om1 '[0-9.e+]* states, stored' out) violation=$(grep -m1 '^pan:[0-9]*: ' out)
  if [ -z "$violation" ] && grep -q 'Search not completed' out; then echo "not exhaustive: $(grep -m1 'error:' out)"; return; fi
  echo "${errors#errors: } $states $violation"
}

holds() {  # NAME FLAGS...: the whole search finds nothing
  local result; optimise=2 result=$(search "$1" 900 "${@:2}")
  [[ $result == "0 "* ]] && echo "ok    $1: ${result#0 }" || { echo "FAULT $1: $result"; touch "$work/fault"; }
}
breaks() {  # GUARD FLAGS...: without this guard a violation is found
  local result; optimise=0 result=$(search "$1" 300 "-D$1" "${@:2}")
  [[ $result == "1 "*"pan:1: "* ]] && echo "ok    without $1: $(cut -c1-60 <<< "${result##*pan:1: }")" ||
    { echo "FAULT nothing found without $1: $result"; touch "$work/fault"; }
}

jobs_max=$(nproc)
each() { while [ "$(jobs -rp | wc -l)" -ge "$jobs_max" ]; do wait -n; done; "$@" & }

small=(-DRECORDS=2 -DTWIN=0 -DCOMMANDS=0 -DBATCH_OF_ONE)
override=(-DRECORDS=1 -DTWIN=0 -DCOMMANDS=2 -DBATCH_OF_ONE)
each holds live "${override[@]}" -DLIVE=2
if [ "${1:-}" = --full ]; then
  each holds three_records -DRECORDS=3 -DTWIN=0 -DCOMMANDS=1 -DBATCH_OF_ONE
  each holds two_records_everything -DRECORDS=2 -DTWIN=1 -DCOMMANDS=2
  each holds three_records_beside -DRECORDS=3 -DTWIN=0 -DCOMMANDS=0 -DBATCH_OF_ONE -DBESIDE
else
  each holds three_records -DRECORDS=3 -DTWIN=0 -DCOMMANDS=0 -DBATCH_OF_ONE
  each holds override -DRECORDS=2 -DTWIN=0 -DCOMMANDS=2 -DBATCH_OF_ONE
  each holds second_instance -DRECORDS=2 -DTWIN=1 -DCOMMANDS=0
fi
for guard in M_THRESHOLD M_DISTINCT M_SEQ M_OPERATOR M_BYTES M_LINEAGE M_BUMP_FIRST M_NO_COMPARE M_NO_RECHECK \
             M_CLOBBER M_OUTBOX M_EARLY_ACK M_NOFSYNC M_NO_SIGN_DB M_NO_WITNESS M_TRUST_TAIL; do
  each breaks $guard "${small[@]}"
done
each breaks M_WITNESS -DRECORDS=2 -DTWIN=1 -DCOMMANDS=0 -DBATCH_OF_ONE
for guard in M_NO_REPLAY M_COUNTER M_EFFECT_FIRST M_RESTORE_ONE M_RESTORE_UNLOGGED M_RESTORE_LATE; do
  each breaks $guard "${override[@]}"
done
each breaks M_OVERRIDE_WAITS "${override[@]}" -DLIVE=2
wait

# The list above is the model's.
for guard in $(grep -oE '^#(ifdef|ifndef) M_[A-Z_]+' "$model" | cut -d' ' -f2 | sort -u); do
  [ -d "$work/$guard" ] || { echo "FAULT nobody takes $guard away"; touch "$work/fault"; }
done
[ ! -e "$work/fault" ]
