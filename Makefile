.DEFAULT_GOAL := help
SHELL := /bin/sh

# Every target that people type has a line here, shown by plain `make`.
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the whole system on http://localhost:8080 (FLAGS="-addr :9000 -data DIR -fail throttle=0.1")
	go run ./infra/local $(FLAGS)

test: ## everything that can be tested here; CI=true makes a skip a failure
	@sh infra/testreport/test.sh

bench: ## the speed table of the design, each figure beside its limit (MEMBERKEY_BENCH_SIZE=100000 for a quick look)
	go test ./infra/bench -run '^$$' -bench . -benchtime 1x -timeout 60m

fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@sh infra/testreport/fuzz.sh $(or $(FUZZTIME),20s)

check: ## format and vet, without running anything
	@test -z "$$(gofmt -l functions shared infra)" || { gofmt -l functions shared infra; exit 1; }
	go vet ./...

.PHONY: help run test bench fuzz check
