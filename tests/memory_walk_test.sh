#!/bin/bash
# The memory's walk-through (docs/memory.md) holds what it says. Skipped where the default model has not been pulled.
set -eu
cli=${FIELDPRINT_CLI:?names the program}
"$cli" models --json | python3 -c 'import json, sys
sys.exit(not any(m["name"] == "smollm2-135m" and m["pulled"] for m in json.load(sys.stdin)))' || {
  echo "memory_walk: the default model is not here"; exit 77; }
[ -x "$(dirname "$cli")/fieldprint-verify" ] || { echo "memory_walk: fieldprint-verify is not built"; exit 77; }
exec "$(dirname "$0")/../examples/poisoned-page.sh"
