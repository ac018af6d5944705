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
	go test $race -json -timeout 20m ./...
	echo "{\"Action\":\"exit\",\"Output\":\"$?\"}"
} | go run ./infra/testreport -skipped "$note"
