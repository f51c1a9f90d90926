# Everything a newcomer needs is `make demo` and `make test`.

# Programs that help to develop are installed by name and version into the cache: they
# are no part of the program, so they stand in no go.mod.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lambdamesh
GOLANGCI_LINT := $(CACHE)/tools/golangci-lint-v2.15.0/golangci-lint
GOFUMPT := $(CACHE)/tools/gofumpt-v0.12.0/gofumpt
GOTESTSUM := $(CACHE)/tools/gotestsum-v1.13.0/gotestsum
TFLINT := $(CACHE)/tools/tflint-v0.64.0/tflint
MKDOCS_VENV := $(CACHE)/tools/mkdocs-$(firstword $(shell cksum scripts/mkdocs/requirements.txt))
GORELEASER := $(CACHE)/tools/goreleaser-v2.12.5/goreleaser
KO := $(CACHE)/tools/ko-v0.19.1/ko
GOVULNCHECK := $(CACHE)/tools/govulncheck-v1.9.0/govulncheck
ACTIONLINT := $(CACHE)/tools/actionlint-v1.7.12/actionlint

# Those that check what is deployed. Their names hold what they were made of.
sums = $(firstword $(shell cat $(1) | cksum))
HELM := $(CACHE)/tools/helm-v3.22.0/helm
GOJQ := $(CACHE)/tools/gojq-v0.12.17/gojq
KUBERNETES := $(CACHE)/tools/kubernetes-$(call sums,tools/kubernetes/go.* tools/kubernetes/*/*.go)
KUBECHECK := $(CACHE)/tools/kubecheck-$(call sums,tools/kubecheck/*)/kubecheck
NOMAD := $(CACHE)/tools/nomad-$(call sums,tools/nomad/*)/nomad
SAM_LINT := $(CACHE)/tools/sam-lint-$(call sums,deploy/sam/requirements.txt)

# What runs the tests; .ci/run sets it to gotestsum, for its summary.
TEST_RUNNER ?= go test

.PHONY: help
help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: prereqs
prereqs: ## Name what this machine lacks.
	@sh scripts/prereqs.sh

.PHONY: parts
parts: prereqs ## Fetch and build the real parts (Consul, Envoy, an AWS emulator), once.
	@go run ./internal/parts/fetch

.PHONY: demo
demo: parts ## Show the main job on real parts, then stop everything.
	@go run ./e2e/demo

.PHONY: demo-up
demo-up: parts ## The same, left running, with the addresses to try.
	@go run ./e2e/demo -up

.PHONY: test
test: parts ## Run all tests, with the race detector, on the real parts.
	CGO_ENABLED=1 $(TEST_RUNNER) -race -timeout 30m ./...

.PHONY: test-extra
test-extra: docs terraform-test ## Run the tests that need more than the README names: chromium, promtool.
	@for program in chromium promtool; do \
		command -v $$program >/dev/null || { echo "$$program is missing; Debian has it in the package chromium or prometheus" >&2; exit 1; }; \
	done
	CGO_ENABLED=1 $(TEST_RUNNER) -race -tags extra -timeout 10m -run '^Test(Browser|Promtool)' ./internal/admin ./internal/site ./deploy/...

.PHONY: terraform-test
terraform-test: $(TFLINT) ## Check the Terraform modules, offline, on Terraform, checkov and tflint (fetched once).
	go -C tools/terraform vet ./...
	go -C tools/terraform test ./...
	TFLINT=$(TFLINT) $(TEST_RUNNER) -tags extra -count=1 -timeout 10m -run '^TestTerraform$$' ./deploy/terraform

.PHONY: terraform-schema
terraform-schema: ## Make the schema of the stand-in for Terraform's AWS provider anew (70 MB from PyPI).
	python3 -m venv --clear build/cdktn
	build/cdktn/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest build/cdktn cdktn-provider-aws==25.8.1
	go -C tools/terraform run ./describe -wheel "$(CURDIR)/build/cdktn/cdktn_provider_aws-25.8.1-py3-none-any.whl" -modules "$(CURDIR)/deploy/terraform"

.PHONY: test-deploy
test-deploy: $(HELM) $(GOJQ) $(KUBERNETES)/.complete $(KUBECHECK) $(NOMAD) $(SAM_LINT)/.complete ## Check what is deployed with the tools of those who take it: Helm, Kubernetes, Nomad, AWS.
	PATH="$(dir $(HELM)):$(dir $(GOJQ)):$(KUBERNETES):$(dir $(KUBECHECK)):$(dir $(NOMAD)):$(SAM_LINT)/bin:$$PATH" \
		$(TEST_RUNNER) -tags extra -timeout 10m ./deploy/ecs ./deploy/kubernetes ./deploy/nomad ./deploy/sam
	PATH="$(dir $(GOJQ)):$$PATH" $(TEST_RUNNER) -tags extra -timeout 10m -run '^TestReplicasAsDocumented$$' ./internal/testmesh

test-extra: test-deploy

.PHONY: screenshots
screenshots: ## Make the pictures of the status pages in docs/status (needs chromium).
	@mkdir -p docs/status
	go test -tags extra -run '^TestBrowser$$' ./internal/admin -screenshots "$(CURDIR)/docs/status"

.PHONY: docs
docs: $(MKDOCS_VENV)/whole ## Build the site of docs/ into build/site, and check its links.
	@# Not --quiet: it keeps the warnings from --strict, too (mkdocs 1.6.1).
	@NO_MKDOCS_2_WARNING=1 $(MKDOCS_VENV)/bin/mkdocs build --strict

.PHONY: docs-serve
docs-serve: $(MKDOCS_VENV)/whole ## The same on http://127.0.0.1:8000, built anew at each change.
	@NO_MKDOCS_2_WARNING=1 $(MKDOCS_VENV)/bin/mkdocs serve

.PHONY: bench
bench: parts ## Measure what lambdamesh costs, against its limits (10 minutes; wants the machine for itself).
	@go run ./internal/bench -o build/bench.jsonl

.PHONY: bench-smoke
bench-smoke: parts ## Its cheap measurements, with fewer rounds (2 minutes).
	@go run ./internal/bench -smoke -o build/bench.jsonl

.PHONY: build
build: ## Build the programs into build/.
	go build -o build/ ./cmd/...

.PHONY: lambda-zip
lambda-zip: ## Build the registrator for AWS Lambda: build/lambda-registrator-ARCH.zip, arm64 and amd64.
	go run ./internal/lambdazip -o build

# Empty where a tag is released.
RELEASE_FLAGS ?= --snapshot

.PHONY: release
release: $(GORELEASER) ## Build archives, deb, rpm, Lambda zips, SBOMs and checksums: build/release and build/lambda.
	$(GORELEASER) release --clean $(RELEASE_FLAGS)

.PHONY: images
images: $(KO) ## Build the container images, as OCI layouts: build/images.
	KO=$(KO) bash scripts/images.sh $(if $(PUSH),--push $(PUSH))

.PHONY: ko-login
ko-login: $(KO)
	@printenv REGISTRY_PASSWORD | $(KO) login "$$REGISTRY" --username "$$REGISTRY_USER" --password-stdin

.PHONY: release-test
release-test: release images ## Build all that is released and test it (needs root or sudo, rpm, systemd, unzip, curl).
	@for program in rpm systemd-analyze unzip curl ip setpriv; do \
		command -v $$program >/dev/null || { echo "$$program is missing" >&2; exit 1; }; \
	done
	$(TEST_RUNNER) -tags release -timeout 15m ./deploy/packages ./deploy/images
	cd tools/baseimage && $(TEST_RUNNER) -timeout 10m ./...

.PHONY: licences
licences: ## Print the licences of all dependencies.
	@go run ./internal/sbom -report

.PHONY: vulnerabilities
vulnerabilities: $(GOVULNCHECK) ## Look for known vulnerabilities; fails, and says so, if their database cannot be reached.
	@bash scripts/vulnerabilities.sh $(GOVULNCHECK)

.PHONY: lint
lint: $(GOLANGCI_LINT) $(GOFUMPT) $(ACTIONLINT) ## Run the linters, and the rules that are programs.
	@unformatted=$$($(GOFUMPT) -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt:" $$unformatted >&2; exit 1; fi
	$(GOLANGCI_LINT) run ./...
	bash scripts/imports.sh
	bash scripts/secrets.sh
	bash scripts/actions.sh
	$(ACTIONLINT)
	go vet ./...
	go mod tidy -diff
	go mod verify

.PHONY: format
format: $(GOFUMPT) ## Format the code.
	$(GOFUMPT) -w .

.PHONY: tools
tools: $(GOLANGCI_LINT) $(GOFUMPT) $(GOTESTSUM) $(ACTIONLINT) $(GOVULNCHECK) ## Install the linters and the test runner of .ci/run into the cache.

$(GOLANGCI_LINT):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

$(GOFUMPT):
	GOBIN=$(@D) go install mvdan.cc/gofumpt@v0.12.0

$(TFLINT):
	GOBIN=$(@D) go install github.com/terraform-linters/tflint@v0.64.0

$(GOTESTSUM):
	GOBIN=$(@D) go install gotest.tools/gotestsum@v1.13.0

# Exactly the packages that the file names, whose checksum its folder bears. --only-binary: no
# build script of any runs.
$(MKDOCS_VENV)/whole:
	rm -rf $(MKDOCS_VENV)
	python3 -m venv $(MKDOCS_VENV)
	$(MKDOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
		--requirement scripts/mkdocs/requirements.txt
	touch $@

$(GORELEASER):
	GOBIN=$(@D) go install github.com/goreleaser/goreleaser/v2@v2.12.5

$(KO):
	GOBIN=$(@D) go install github.com/google/ko@v0.19.1

$(GOVULNCHECK):
	GOBIN=$(@D) go install golang.org/x/vuln/cmd/govulncheck@v1.9.0

$(ACTIONLINT):
	GOBIN=$(@D) go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

$(HELM):
	GOBIN=$(@D) go install helm.sh/helm/v3/cmd/helm@v3.22.0

$(GOJQ):
	GOBIN=$(@D) go install github.com/itchyny/gojq/cmd/gojq@v0.12.17

$(KUBECHECK):
	go -C tools/kubecheck build -o $@ .

$(NOMAD):
	go -C tools/nomad build -o $@ github.com/hashicorp/nomad

# Without a version Kubernetes is one that no chart takes.
$(KUBERNETES)/.complete:
	rm -rf $(@D) && mkdir -p $(@D)
	version=$$(go -C tools/kubernetes list -m -f '{{.Version}}' k8s.io/kubernetes) && \
		go -C tools/kubernetes build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$version" -o $(@D)/ ./...
	touch $@

# The marker is written last; a venv cannot be moved.
$(SAM_LINT)/.complete:
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: --requirement deploy/sam/requirements.txt
	touch $@
