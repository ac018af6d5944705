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
	go test ./infra/bench -run '^$$' -bench . -benchtime 1x -timeout 60m; bench=$$?; \
		go test ./infra/browser -run '^$$' -bench . -benchtime 1x -timeout 20m && exit $$bench

screenshots: ## the pictures of the README anew, made by the browser tests (needs chromium)
	rm -rf .screenshots && MEMBERKEY_SCREENSHOTS=$(CURDIR)/.screenshots go test ./infra/browser -count=1 -timeout 20m
	for f in $$(grep -o 'infra/browser/screenshots/[a-z0-9-]*[.]png' README.md | xargs -n1 basename | sort -u); do cp .screenshots/$$f infra/browser/screenshots/ || exit 1; done

fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@sh infra/testreport/fuzz.sh $(or $(FUZZTIME),20s)

check: ## format and vet, without running anything
	@test -z "$$(gofmt -l functions shared infra)" || { gofmt -l functions shared infra; exit 1; }
	go vet ./...

lint: ## sam validate --lint and cfn-lint over template.yaml, both installed into .tools
	go test ./infra/template -count=1 -v -run 'TestSAMValidates|TestCFNLint'

build: ## each function's program in bin/{function}/bootstrap, and its size
	@for f in $(FUNCTIONS); do \
		mkdir -p bin/$$f && $(MAKE) -s build-$$f ARTIFACTS_DIR=bin/$$f && printf '%9d bytes  %s\n' $$(wc -c < bin/$$f/bootstrap) $$f || exit 1; \
	done

vendor: ## the console's libraries again, as vendored.json pins them; NEWEST=1 takes newer releases (needs npm)
	go run ./infra/vendored $(if $(NEWEST),-newest)

deploy: ## build, and deploy to ENV=dev, staging or prod as samconfig.toml has it
	@test -n "$(ENV)" || { echo "say where: make deploy ENV=dev"; exit 1; }
	$(SAM) build
	@# A changed parameter must publish new versions, too; see Globals in template.yaml.
	sum=$$(cat template.yaml samconfig.toml | cksum | tr ' ' -) && cd .aws-sam/build && \
		sed "s/configuration: unstamped/configuration: $$sum/" template.yaml > stamped && mv stamped template.yaml
	$(SAM) deploy --config-env $(ENV)

smoke: ## does the deployment ENV work? Safe in production
	@test -n "$(ENV)" || { echo "say where: make smoke ENV=dev"; exit 1; }
	go run ./infra/smoke -stack memberkey-$(ENV) $(FLAGS)

SAM ?= sam
FUNCTIONS = $(shell sed -n 's/^  \([A-Za-z][A-Za-z]*Function\):.*/\1/p' template.yaml)

# What `sam build` runs for a function. ProfileImportsFunction would be in
# functions/profile-imports. Nothing of this machine gets into the program: same
# commit and same Go, same bytes; so only what has changed is published again.
build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 GOAMD64=v1 GOFLAGS= GOEXPERIMENT= go build -buildvcs=false -trimpath -tags lambda.norpc -ldflags "-s -w" \
		-o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$$(echo $* | sed 's/\([a-z0-9]\)\([A-Z]\)/\1-\2/g' | tr A-Z a-z)/lambda

.PHONY: help run test bench screenshots fuzz check lint build vendor deploy smoke
