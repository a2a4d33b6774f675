#!/bin/bash
# A model of 135 million weights learns to solve word problems from one of 1.5 billion: examples/distil-smollm2/run.sh [OUT]
# README.md beside this file tells what happens. Run it from the repository's folder, after `make`. Each step goes on
# where it was ended; delete OUT (build/distil-smollm2) to begin anew.
#
# EVAL_DATA   a folder with the seven tasks of `fieldprint eval ls`: scored before and after, and kept out of the data
# PROBLEMS    to learn from (160)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-build/distil-smollm2}
fieldprint=${FIELDPRINT_CLI:-build/release/fieldprint}
teacher=qwen2.5-coder-1.5b student=smollm2-135m
port=${PORT:-8093}
eval_data=${EVAL_DATA:-}
tasks=arc_challenge,arc_easy,boolq,hellaswag,openbookqa,piqa,winogrande
system="Solve the problem step by step, with an equation in each sentence. End with a line that holds #### and the number \
alone, as here: Tom fills 3 bags with 4 nuts each, 3 * 4 = 12 nuts. He eats 2 of them, so 12 - 2 = 10 nuts are left.
#### 10"
mkdir -p "$out"
begin=$SECONDS
step() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - begin)); }

step "Problems, and 100 others for the test"
python3 "$here/problems.py" "$out/problems.jsonl" "$out/held-out.jsonl" "${PROBLEMS:-160}"
"$fieldprint" pull $student
"$fieldprint" pull $teacher

step "The student before"
# score MODEL OUT: the held-out problems in OUT/problems, and in OUT/tasks the tasks, where their data is
score() {
  "$fieldprint" eval --tasks gsm8k --fewshot 0 --apply-chat-template --system-instruction "$system" --max-tokens 128 \
    --data "gsm8k=$out/held-out.jsonl" --out "$2/problems" "$1"
  [ -z "$eval_data" ] || "$fieldprint" eval --tasks $tasks --limit 100 --data "$eval_data" --out "$2/tasks" "$1"
}
score $student "$out/before"

step "The teacher answers"
"$fieldprint" serve -m $teacher --port "$port" --context 4096 > "$out/serve.log" 2>&1 &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
for _ in $(seq 120); do
  ! curl -sf "http://127.0.0.1:$port/health" > /dev/null || break
  kill -0 $server || { cat "$out/serve.log"; exit 1; }
  sleep 0.5
done
"$fieldprint" distil run "$out/problems.jsonl" --teacher "http://127.0.0.1:$port" --out "$out/rows" \
  --template "Question: {{ question }}
Answer:" --system "$system" --temp 0.3 --max-tokens 128
kill $server
wait $server || true
"$fieldprint" distil merge "$out/rows" --out "$out/rows.jsonl"

step "Wrong answers go"
filters=(--finish stop --verify all)
[ -z "$eval_data" ] || filters+=(--eval-data "$eval_data")
"$fieldprint" distil filter "$out/rows.jsonl" --out "$out/filtered" "${filters[@]}"

step "The student learns"
"$fieldprint" train $student --data "$out/filtered/kept.jsonl" --out "$out/student" --lora-rank 16 --lr 1e-3 --epochs 3 \
  --batch 8 --resume

step "The student after"
score "$student+$out/student/adapter.gguf" "$out/after"

step "The card"
results=(--before "$out/before/problems" --after "$out/after/problems")
[ -z "$eval_data" ] || results+=(--before "$out/before/tasks" --after "$out/after/tasks")
"$fieldprint" distil card --title "SmolLM2 135M, taught word problems" --data "$out/filtered/kept.jsonl" \
  --filter-report "$out/filtered/report.json" --training "$out/student" --model "$out/student/adapter.gguf" \
  "${results[@]}" --ask-before $student --ask-after $student \
  --ask-after-lora "$out/student/adapter.gguf" --notes "$here/notes.md" --licence "Apache-2.0, as both models are" \
  --redo "examples/distil-smollm2/run.sh" --out "$out/card.md"
step "Done: $out/card.md"
