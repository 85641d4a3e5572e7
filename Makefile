# Short names for what is otherwise one go command. `make` lists them.

.DEFAULT_GOAL := help
FUZZTIME ?= 30s

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Build

.PHONY: build demo image up down
build: ## build ./evenkeel as it is shipped: static
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o evenkeel ./cmd/evenkeel

demo: ## three nodes and three backends on this machine
	go run ./cmd/evenkeel demo

image: ## build the image evenkeel
	docker build -t evenkeel .

COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

up: ## docker-compose.yml: three nodes and three backends in containers
	$(COMPOSE) up --build --detach

down: ## remove what `make up` made, the volumes too
	$(COMPOSE) down --volumes

## Test

.PHONY: test race lint fuzz e2e e2e-clients compose faults mix ci
test: ## all tests
	go test ./...

race: ## all tests with the race detector, as CI runs them
	go test -race ./...

e2e: ## only the scenarios with real processes
	go test -count=1 -v ./e2e

e2e-clients: ## clients that others wrote (gRPC, WebSocket, h2spec, curl, h2load, openssl, PostgreSQL, Redis), in three minutes
	cd e2e/tools && EVENKEEL_CLIENTS=1 go test -count=1 -timeout 20m -v .

compose: ## only the scenario with docker compose
	go test -count=1 -v ./e2e/compose

FAULTS ?= .
faults: ## the fault campaign with its table; needs root, half an hour and an idle machine; FAULTS=F7 or another pattern
	EVENKEEL_FAULTS=1 go test -count=1 -timeout 90m -v -run '$(FAULTS)' -skip '^TestF22' -p 1 ./e2e/faults ./e2e/upgrade

MIX ?= 10m
mix: ## faults at random for MIX (10m); SEED=N takes the course of an earlier run
	EVENKEEL_FAULTS=1 EVENKEEL_MIX=$(MIX) EVENKEEL_SEED=$(SEED) go test -count=1 -timeout 0 -v -run '^TestF22' ./e2e/faults

lint: ## gofmt, go vet, staticcheck, govulncheck (the latter two as installed)
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	go vet ./...
	staticcheck ./...
	govulncheck ./...

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@go list -f '{{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' ./... | while read -r dir files; do \
		for file in $$files; do \
			sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir/$$file"; \
		done | while read -r target; do \
			echo "== $$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null || exit 1; \
		done || exit 1; \
	done

.PHONY: model
MODEL ?= 1h
model: ## random pipelines against backends that misbehave, for MODEL (1h)
	go test -count=1 -timeout 0 -v -run '^TestModel' ./balancer/conformance -args -model.duration $(MODEL)

ci: ## everything that must hold before a change lands
	.ci/run

## Figures: each prints what was to be reached and what was measured

FIGURE = go test -count=1 -timeout 30m -run '^$$' -benchtime 1x ./e2e/figures -bench

.PHONY: figures figure-kill figure-propagation figure-registry figure-memory bench-pick bench-change bench-snapshot bench-log
figures: bench-pick bench-change bench-snapshot figure-propagation figure-memory figure-registry figure-kill ## all of them, in about ten minutes

figure-kill: ## kill -9 of the leader, 20 times; beside it etcd 3.4 if it is installed
	$(FIGURE) '^BenchmarkLeaderKill$$'

figure-propagation: ## a POST on a follower until every node routes to the backend
	$(FIGURE) '^BenchmarkPropagation$$'

figure-registry: ## 100,000 backends: from the start of a node until it serves
	$(FIGURE) '^BenchmarkLargeRegistry$$'

figure-memory: ## an idle node's anonymous memory with 100 backends
	$(FIGURE) '^BenchmarkIdleMemory$$'

.PHONY: bench-health
HEALTH ?= .
bench-health: ## how soon and at what cost the cluster knows which backends work; needs root, 20 minutes and an idle machine; HEALTH=Flapping or another pattern
	EVENKEEL_HEALTH=1 go test -count=1 -timeout 60m -v -run '$(HEALTH)' ./e2e/health

.PHONY: bench-api
API ?= .
bench-api: ## writes, reads, watches and apply through the API beside etcd, on an idle machine in three minutes; API=writes or another pattern
	EVENKEEL_APIBENCH=1 go test -count=1 -timeout 30m -v -run '^TestAPI$$/$(API)' ./e2e/apibench

.PHONY: bench-http
bench-http: ## CPU per HTTP request beside HAProxy, nginx and Caddy, in about 30 minutes; BENCH='--quick' or other flags
	go run ./e2e/httpbench $(BENCH)

bench-pick: ## one Pick among 100 backends, by strategy
	go test -run '^$$' -bench '^BenchmarkPick$$' -benchmem ./balancer/picker

bench-change: ## one change until it is in the table: registries of 100 and of 10,000 backends
	go test -run '^$$' -bench '^BenchmarkOneChange' -benchmem ./balancer/table

bench-log: ## one append to the log store beside raft-wal and bare synced writes; EVENKEEL_BENCH_DIR names the disk
	cd cluster/storebench && go test -run '^$$' -bench '^BenchmarkAppend$$' -benchtime 600x .

bench-snapshot: ## snapshot and restore of 100,000 backends
	go test -run '^$$' -bench '^Benchmark(Snapshot|Restore)100000$$' -benchtime 3x ./fsm
