#!/bin/sh
# make test: runs every test and says what ran and what was skipped, and why.
set -u
cd "$(dirname "$0")/../.." || exit 1

unformatted=$(gofmt -l functions shared infra)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:"
	echo "$unformatted"
	exit 1
fi
go vet ./... || exit 1

race=-race
note=""
if [ "$(go env CGO_ENABLED)" != 1 ] || ! command -v "$(go env CC)" >/dev/null 2>&1; then
	race=""
	note="the race detector: install a C compiler (gcc) to run it"
fi
# shellcheck disable=SC2086 # $race is a flag or nothing
{
	# The browser tests come last and alone: they are as quick as a person, and
	# need the cores when they need them.
	go test $race -json -timeout 20m $(go list ./... | grep -v /infra/browser$)
	others=$?
	go test $race -json -timeout 20m ./infra/browser
	browser=$?
	echo "{\"Action\":\"exit\",\"Output\":\"$((others > browser ? others : browser))\"}"
} | go run ./infra/testreport -skipped "$note"
