# Every command of the tree. "make help" lists them; tools/dev does the work.

FUZZTIME   ?= 10s
FUZZBUDGET ?= 0
COUNT      ?= 6
BENCH      ?= .
LAYOUTS    ?= 12

DEV = go -C tools run ./dev

.PHONY: help test test-deps test-long lint fuzz cover bench bench-all mutants cross size clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## gofmt, vet, all modules' tests with the race detector, real firmware
	$(DEV) test

test-deps: ## Debian packages and device trees for the integration tests
	scripts/test-deps

test-long: ## the tests that scale with NANOLOCK_LONG=1, without bounds on time
	$(DEV) test-long

lint: ## gofmt, vet, staticcheck, govulncheck
	$(DEV) lint

fuzz: ## every fuzz target for FUZZTIME (10s), all within FUZZBUDGET (0 = no bound)
	$(DEV) fuzz -time $(FUZZTIME) -budget $(FUZZBUDGET)

cover: ## coverage of the trusted core; fails below 95 %
	$(DEV) cover

mutants: ## one bug at a time in the shipped source, and the test that must fail
	$(DEV) mutants

bench: ## what mediation costs, over LAYOUTS (12) builds; writes bench/results
	go run ./bench/run -layouts $(LAYOUTS) -bench '$(BENCH)'

bench-all: ## every package's benchmarks matching BENCH, COUNT (6) times, by benchstat
	$(DEV) bench -match '$(BENCH)' -count $(COUNT)

cross: ## builds for other systems
	$(DEV) cross

size: ## what the core adds to a stripped mipsle program
	$(DEV) size

clean: ## removes .cache, which holds all that these commands leave
	rm -rf .cache
