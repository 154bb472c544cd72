# Callhall. `make test` is all a change needs; the rest is for measuring and packaging.
SHELL := /bin/bash
TOOLS := $(CURDIR)/.tools/bin
GO    ?= go
export CGO_ENABLED ?= 1

.PHONY: build test check tools peers bench fuzz clean

build: ## one binary, ./callhall
	CGO_ENABLED=0 $(GO) build -trimpath -o callhall ./cmd/callhall

test: peers tools check ## everything, with real peers and the race detector; leaves no process behind
	test/run.sh

check: tools ## formatting, vet, staticcheck, known vulnerabilities where the database can be reached
	test/check.sh

tools: ## Go programs that tests and checks use, built once per machine
	test/tools.sh

peers: ## SIPp and baresip, from the distribution
	test/peers.sh

bench: build ## prints the figures that docs/performance.md quotes
	bench/run.sh

fuzz: ## each fuzz target for FUZZTIME (default 30s); their seeds run in every `make test`
	test/fuzz.sh

clean:
	rm -rf callhall .tools
