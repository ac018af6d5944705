// Package blocklist knows the commonest passwords: all of 15 characters and
// more from a list of a million, and the 100,000 commonest of 8 to 14.
//
// It keeps the first five bytes of the SHA-256 of each, sorted, in list.bin,
// and searches them where the linker put them: nothing is read or built at
// start, and the file takes 549 kB instead of 1.2 MB. The price is that a good
// password is taken for a listed one once in ten million (109,747 / 2^40);
// whoever is so unlucky chooses another. The file is no secret: each entry is
// public.
//
// generate.go makes list.bin; NOTICE.md says from what.
package blocklist

import (
	"crypto/sha256"
	_ "embed"
	"sort"
)

// width is the length of an entry in bytes.
const width = 5

//go:embed list.bin
var list string

// Contains tells whether a password is listed. folded is its RFC 8265
// OpaqueString form in small letters (strings.ToLower); entries were folded in
// the same way, so capitals make no difference.
func Contains(folded string) bool {
	sum := sha256.Sum256([]byte(folded))
	key := string(sum[:width])
	n := len(list) / width
	at := func(i int) string { return list[i*width : (i+1)*width] }
	i := sort.Search(n, func(i int) bool { return at(i) >= key })
	return i < n && at(i) == key
}
