#!/bin/sh
# make fuzz: every fuzz target of the module, one after the other.
set -eu
cd "$(dirname "$0")/../.."
time=${1:-20s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for file in $(grep -rl --include='*_test.go' '^func Fuzz' functions shared infra); do
	package=./$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $package $target"
		if go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x >"$out" 2>&1; then
			tail -n 2 "$out"
		elif grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out"; then
			# The engine now and then reports the end of its own time as a failure.
			grep 'execs' "$out" | tail -n 1
		else
			cat "$out"
			exit 1
		fi
	done
done
