# One verb a chore, each a line or two over a CMake preset. `make` alone builds; `make help` lists the verbs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

jobs := $(shell nproc 2>/dev/null || echo 2)
cli := build/release/fieldprint
models := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/fieldprint/models
mcp_clients := tests/mcp/clients
sources = $$(git ls-files '*.h' '*.cpp')
# $(call build_preset,PRESET,TARGET): silent where nothing is to do.
build_preset = cmake --build build/$(1) -j $(jobs) --target $(2) | sed -u '/no work to do/d; /Re-checking globbed/d'
# Every test, and why those that were skipped were.
run_ctest = code=0; ctest --test-dir build/$(1) -j $(jobs) --output-on-failure --output-junit ctest.xml || code=$$?; \
  tools/skipped build/$(1)/ctest.xml; exit $$code

# Roughly the CPU seconds of compiling the program, so that `make` can say how long it will take.
build_seconds := 780

export QUESTION ?= In one sentence, what is a black hole?
TRIALS ?= 1
FUZZ_SECONDS ?= 60

.PHONY: build page run chat serve test check bench format tidy asan tsan fuzz clean setup test-setup dev-setup all-release model help

build: build/release/build.ninja  ## build/release/fieldprint
	@[ -x $(cli) ] || echo "Building Fieldprint on $(jobs) cores: about $$(( ($(build_seconds) / $(jobs) + 59) / 60 )) minutes, once."
	@$(call build_preset,release,fieldprint_cli fieldprint_verify)
	@ln -sfn $(cli) fieldprint

run: build model  ## ask the default model a question: make run QUESTION="..."
	@printf '\n> %s\n\n' "$$QUESTION"
	@$(cli) run --temp 0 -n 1000 "$$QUESTION" < /dev/null
	@printf '\nThe program is %s, and ./fieldprint for short. Next:\n' "$(cli)"
	@printf '  %-42s%s\n' './fieldprint run "Why is the sky blue?"' 'another answer' \
	  './fieldprint chat' 'a conversation' './fieldprint --help' 'all commands' \
	  'sudo cmake --install build/release' 'then it is `fieldprint` everywhere'

chat: build model  ## talk with the default model
	@$(cli) chat

serve: build model  ## serve the default model at http://127.0.0.1:8080, with a page: make serve FLAGS="--port 9000"
	@$(cli) serve $(FLAGS)

test: all-release  ## build everything, run every test
	@$(MAKE) --no-print-directory model || echo "The default model cannot be fetched: tests that need it are skipped."
	@$(MAKE) --no-print-directory web/node_modules || echo "The page's libraries cannot be fetched: its tests in a browser are skipped."
	@$(MAKE) --no-print-directory $(mcp_clients)/node_modules $(mcp_clients)/python || echo "MCP's clients cannot be fetched: the tests with them are skipped."
	@(cd tests/sumdb && go mod download) 2> /dev/null || echo "Go or its module golang.org/x/mod is missing: the ledger's test against it is skipped."
	@$(call run_ctest,release)

page: web/node_modules  ## build the page's file anew, after a change in web/
	@npm --prefix web run --silent build

check: dev-setup  ## floors, format and tests: what a change must pass
	@tools/floors
	@clang-format --dry-run -Werror $(sources)
	@$(MAKE) --no-print-directory test

bench: test-setup  ## run the benchmarks
	@cmake --preset release > /dev/null
	@$(call build_preset,release,benchmarks)
	@for bench in build/release/*_bench; do [ ! -x "$$bench" ] || "$$bench"; done
	@build/release/attention_bench --kernels

format: dev-setup  ## put every source file into form
	@clang-format -i $(sources)

tidy: dev-setup build/clang/build.ninja  ## clang-tidy over the sources
	@run-clang-tidy -quiet -j $(jobs) -p build/clang '/(src|apps|verify)/.*\.cpp$$'

asan: test-setup build/asan/build.ninja  ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(call build_preset,asan,all)
	@$(call run_ctest,asan)

tsan: test-setup build/tsan/build.ninja  ## the tests under ThreadSanitizer
	@$(call build_preset,tsan,all)
	@$(call run_ctest,tsan)

memory-trials: all-release  ## the long trials of the memory: attacks, kills, bit flips, revocations (TRIALS=1: all of them)
	@FIELDPRINT_TRIALS=$(TRIALS) build/release/fieldprint_tests --gtest_filter='*Trial*'
	@for trial in tests/*_trial.sh tests/*_trial.py; do \
	  [ ! -x "$$trial" ] || { echo "== $$trial"; FIELDPRINT_TRIALS=$(TRIALS) FIELDPRINT_CLI=$(CURDIR)/$(cli) "$$trial" || exit 1; }; \
	done

fuzz: dev-setup build/fuzz/build.ninja  ## every fuzzer for FUZZ_SECONDS (60)
	@$(call build_preset,fuzz,all)
	@for fuzzer in build/fuzz/*_fuzz; do \
	  name=$$(basename "$$fuzzer" _fuzz); echo "== $$name"; mkdir -p "build/fuzz/corpus/$$name" "fuzz/corpus/$$name"; \
	  "$$fuzzer" -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
	    -artifact_prefix="build/fuzz/$$name-" "build/fuzz/corpus/$$name" "fuzz/corpus/$$name"; \
	done

clean:  ## remove build/
	@rm -rf build fieldprint

setup:  ## install with apt what building needs
	@tools/setup build

test-setup:
	@tools/setup test

dev-setup:
	@tools/setup dev

# The preset asks for tests and benchmarks; `build` leaves them out, so that it does not need their libraries.
all-release: test-setup
	@cmake --preset release > /dev/null
	@$(call build_preset,release,all benchmarks)
	@ln -sfn $(cli) fieldprint

# Silent where it is there; it appears there only whole.
model:
	@[ -f "$(models)/SmolLM2-135M-Instruct.Q4_1.gguf" ] || $(cli) pull smollm2-135m

# For the page's tests, and for whoever changes it.
web/node_modules: web/package-lock.json
	@npm --prefix web ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# MCP's own clients, for the tests that speak with them. Not `npm ci`: it refuses a lock without an optional package for Windows.
$(mcp_clients)/node_modules: $(mcp_clients)/package-lock.json
	@npm --prefix $(mcp_clients) install --no-save --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

$(mcp_clients)/python: $(mcp_clients)/requirements.txt
	@python3 -m pip install -qqq --disable-pip-version-check --root-user-action ignore --upgrade --target $@ -r $<
	@touch $@

help:  ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

build/release/build.ninja: CMakePresets.json | setup
	@cmake --preset release -DFIELDPRINT_TESTS=OFF -DFIELDPRINT_BENCH=OFF > /dev/null

build/%/build.ninja: CMakePresets.json | setup
	@cmake --preset $* > /dev/null
