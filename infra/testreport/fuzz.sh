#!/bin/sh
# make fuzz: every fuzz target of the module, one after the other.
set -eu
cd "$(dirname "$0")/../.."
time=${1:-20s}
grep -rl --include='*_test.go' '^func Fuzz' functions shared infra | while read -r file; do
	package=./$(dirname "$file")
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		echo "== $package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x
	done
done
