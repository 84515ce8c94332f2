# `make` lists what there is. Building and running need Go alone; `make test` says what else it wants.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0

# Downloaded tools and the tests' virtual environment, shared by all checkouts.
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/advise-test

# The Debian packages that tests with real programs need.
PACKAGES := gunicorn python3-gevent python3-eventlet python3-flask python3-django python3-venv uvicorn python3-hypercorn \
	python3-waitress uwsgi-core uwsgi-plugin-python3 nginx-light lighttpd apache2 libapache2-mod-php8.2 php8.2-fpm puma \
	unicorn ruby-rack nodejs systemd procps qemu-system-x86 chromium

# Those that bench-generator compares with.
BENCH_PACKAGES := nginx-light hey wrk

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.8.0
GOLANGCI_LINT := $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK   := $(CACHE)/bin/govulncheck-$(GOVULNCHECK_VERSION)

PLATFORMS := linux/arm64 darwin/arm64
FUZZTIME  ?= 10s

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: build
build: ## build bin/advise
	go build -trimpath -o bin/advise ./cmd/advise

.PHONY: run
run: build ## sweep the built-in demo server: the main job, in about a minute
	@mkdir -p bin/empty && cd bin/empty && ../advise --cores 1 --mem 512M --time 45s

# Packages are tested one after the other: load measured beside other load would mean nothing.
.PHONY: test
test: test-packages test-venv ## run every test but test-servers, and the first faults of test-faults; as root on Debian, first install what the real-server tests need
	go test -p 1 -parallel 4 -timeout 9m -short ./...
	@.ci/test-cgroup2

.PHONY: test-servers
test-servers: test-packages test-venv ## sweep every server that is known by name, for real: ten minutes
	go test -run '^TestSwept' -timeout 20m ./cmd

# In its folder: there go prints what a test that passed has to say.
.PHONY: test-faults
test-faults: test-packages ## kills, damaged records, hostile projects, secrets: 200 to 1,000 of each, twenty minutes
	go -C cmd test -run '^TestFaults' -count 1 -timeout 60m

.PHONY: test-packages
test-packages:
	@.ci/install-packages $(PACKAGES)

.PHONY: test-venv
test-venv: ## get the newest Python servers from PyPI, for the tests alone
	@.ci/make-venv $(CACHE)/venv

.PHONY: test-cgroup2
test-cgroup2: ## run the tests of targets/hold on a cgroup v2 kernel, in QEMU
	@.ci/test-cgroup2

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters and check the formatting
	$(GOLANGCI_LINT) run --allow-serial-runners ./...

$(GOLANGCI_LINT):
	@echo "install golangci-lint $(GOLANGCI_LINT_VERSION): this compiles for a few minutes, once"
	@.ci/install-tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) $@

.PHONY: vuln
vuln: $(GOVULNCHECK) ## look the dependencies up in the vulnerability database (needs vuln.go.dev)
	$(GOVULNCHECK) ./...

$(GOVULNCHECK):
	@.ci/install-tool golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) $@

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME each (10s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file func; do \
		name=$${func#func }; echo "$$(dirname "$$file") $$name"; \
		go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$(dirname "$$file")" </dev/null; done

.PHONY: cross
cross: ## compile the program and its tests for the other platforms
	@for platform in $(PLATFORMS); do \
		echo "compile for $$platform"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -trimpath -o /dev/null ./cmd/advise; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./...; done

.PHONY: tidy-check
tidy-check: ## fail when go.mod or go.sum is not what the code needs
	go mod tidy -diff

# Measurements that take minutes and want the machine to themselves.
.PHONY: accuracy
accuracy: ## ten sweeps of the demo server against a full grid, and simulated sweeps
	go test -run '^$$' -bench 'Accuracy' -benchtime 1x -timeout 60m -v ./cmd
	go test -run '^$$' -bench 'Sweeps|Races' -benchtime 240x -timeout 60m -v ./model

.PHONY: bench-startup
bench-startup: ## how long a dry run takes
	go test -run '^$$' -bench 'Startup' -benchtime 1x ./cmd

.PHONY: bench-generator
bench-generator: ## requests per CPU second of advise, vegeta, hey and wrk
	@.ci/install-packages $(BENCH_PACKAGES)
	go test -run '^$$' -bench 'Generators' -benchtime 1x -timeout 10m ./sweep/generator

.PHONY: bench-prediction
bench-prediction: ## what is predicted for 1.5 and 2 cores from 0.5 and 1, against what they do: five minutes
	@.ci/install-packages gunicorn python3-flask
	go test -run '^$$' -bench 'Prediction' -benchtime 1x -timeout 15m -v ./sweep

.PHONY: bench-saturation
bench-saturation: ## what advise and wrk get of asynchronous servers with waiting pages: half an hour
	@.ci/install-packages gunicorn python3-gevent python3-eventlet nodejs wrk
	@.ci/make-venv $(CACHE)/venv
	go test -run '^$$' -bench 'Saturation' -benchtime 1x -timeout 60m -v ./sweep

.PHONY: bench-rates
bench-rates: ## what is recommended for five rates, against a grid of long runs: a quarter of an hour
	@.ci/install-packages gunicorn python3-flask
	go test -run '^$$' -bench 'Rates' -benchtime 1x -timeout 60m -v ./sweep

.PHONY: bench-classes
bench-classes: ## the choice among gunicorn's classes, against a grid of each: ten minutes
	@.ci/install-packages gunicorn python3-eventlet
	go test -run '^$$' -bench 'Classes' -benchtime 1x -timeout 60m -v ./sweep

.PHONY: bench-memory
bench-memory: ## peak memory of a sweep of a million requests
	go test -run '^$$' -bench 'Million' -benchtime 1x -timeout 60m ./cmd

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
