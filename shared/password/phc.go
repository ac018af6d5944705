package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Params are the costs of one Argon2id hash (RFC 9106).
type Params struct {
	MemoryKiB uint32 // m: 8 per thread to 1 GiB
	Time      uint32 // t: passes, 1 to 10
	Threads   uint8  // p: lanes, 1 to 16
	Salt, Tag int    // lengths in bytes: 8 to 64 and 16 to 64
}

var (
	// Production is what AWS and the local system hash with: 64 MiB, three
	// passes, one lane (RFC 9106 §4 second choice with p=1; OWASP ASVS 5.0
	// appendix C).
	Production = Params{MemoryKiB: 64 << 10, Time: 3, Threads: 1, Salt: 16, Tag: 32}

	// Fast is for tests, which pass it to NewHasher; it protects nothing.
	Fast = Params{MemoryKiB: 8, Time: 1, Threads: 1, Salt: 16, Tag: 32}
)

// Bounds of every parameter, so that no string can ask for a hash that takes
// the machine down (A17) or protects nothing.
const (
	maxMemoryKiB     = 1 << 20
	maxTime          = 10
	maxThreads       = 16
	minSalt, maxSalt = 8, 64
	minTag, maxTag   = 16, 64
	maxPHC           = 256 // bytes; the longest string within these bounds is 215
)

// Valid tells whether every parameter is within its bounds.
func (p Params) Valid() bool {
	return p.MemoryKiB >= 8*uint32(p.Threads) && p.MemoryKiB <= maxMemoryKiB &&
		p.Time >= 1 && p.Time <= maxTime &&
		p.Threads >= 1 && p.Threads <= maxThreads &&
		p.Salt >= minSalt && p.Salt <= maxSalt &&
		p.Tag >= minTag && p.Tag <= maxTag
}

// Hash is a stored password: an Argon2id PHC string. The zero Hash is no
// password. Like [Plain] it redacts itself everywhere; stores write
// [Hash.PHC] and read with [ParsePHC].
type Hash struct{ phc *string }

// PHC gives the string to store, "" for the zero Hash.
func (h Hash) PHC() string {
	if h.phc == nil {
		return ""
	}
	return *h.phc
}

// IsZero tells whether there is no hash: the credential has no password.
func (h Hash) IsZero() bool { return h.PHC() == "" }

// Equal tells whether both are the same stored string. A re-hash is stored on
// the condition that the hash it replaces is still there (H1).
func (h Hash) Equal(g Hash) bool {
	return subtle.ConstantTimeCompare([]byte(h.PHC()), []byte(g.PHC())) == 1
}

func (Hash) String() string               { return redacted }
func (Hash) GoString() string             { return redacted }
func (Hash) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Hash) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON refuses: a hash read from JSON would be "[redacted]", so a
// store that forgot PHC and ParsePHC fails at its first test.
func (*Hash) UnmarshalJSON([]byte) error {
	return errors.New("password: a hash is stored as PHC() and read with ParsePHC")
}

// errPHC never says more: what it would quote is a hash.
var errPHC = errors.New("password: not a canonical Argon2id PHC string within bounds")

// ParsePHC reads what [Hash.PHC] gave:
//
//	$argon2id$v=19$m=65536,t=3,p=1$<salt>$<tag>
//
// with salt and tag in standard base64 without padding. Only the canonical
// spelling is taken (no leading zeros or signs, this order, no spare bits),
// and only parameters within their bounds.
func ParsePHC(s string) (Hash, Params, error) {
	d, err := decode(s)
	if err != nil {
		return Hash{}, Params{}, err
	}
	return Hash{&s}, d.params, nil
}

// decoded is a PHC string taken apart.
type decoded struct {
	params    Params
	salt, tag []byte
}

func (d decoded) encode() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		d.params.MemoryKiB, d.params.Time, d.params.Threads, b64.EncodeToString(d.salt), b64.EncodeToString(d.tag))
}

func decode(s string) (decoded, error) {
	if len(s) > maxPHC {
		return decoded{}, errPHC
	}
	rest, ok := strings.CutPrefix(s, "$argon2id$v=19$")
	fields := strings.Split(rest, "$")
	if !ok || len(fields) != 3 {
		return decoded{}, errPHC
	}
	costs := strings.Split(fields[0], ",")
	if len(costs) != 3 {
		return decoded{}, errPHC
	}
	m, errM := number(costs[0], "m=", 32)
	t, errT := number(costs[1], "t=", 32)
	p, errP := number(costs[2], "p=", 8)
	salt, errS := base64.RawStdEncoding.DecodeString(fields[1])
	tag, errTag := base64.RawStdEncoding.DecodeString(fields[2])
	if errors.Join(errM, errT, errP, errS, errTag) != nil {
		return decoded{}, errPHC
	}
	d := decoded{
		params: Params{MemoryKiB: uint32(m), Time: uint32(t), Threads: uint8(p), Salt: len(salt), Tag: len(tag)},
		salt:   salt, tag: tag,
	}
	// Writing it again catches every other spelling of the same numbers and
	// bytes: +3, 03, line breaks and spare bits in base64.
	if !d.params.Valid() || d.encode() != s {
		return decoded{}, errPHC
	}
	return d, nil
}

func number(s, name string, bits int) (uint64, error) {
	digits, ok := strings.CutPrefix(s, name)
	if !ok {
		return 0, errPHC
	}
	return strconv.ParseUint(digits, 10, bits)
}
