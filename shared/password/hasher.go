package password

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/memberkey/memberkey/shared/problem"
)

// verifyCeilingKiB is the most memory that one verification may take, unless
// today's parameters take more. It is below the bound of [ParsePHC] because a
// stored string that asks for a gigabyte is no longer a choice of ours but a
// fault, and the permits must keep bounding memory.
const verifyCeilingKiB = 256 << 10

// Hasher makes and verifies hashes, never more at once than it has permits, so
// that the memory in use is at most permits times that of one hash (64 MiB in
// production). As much again may await the garbage collector; GOMEMLIMIT keeps
// that down where it matters. Give it one permit per core: more only makes
// everybody slower. Safe for concurrent use.
type Hasher struct {
	params  Params
	permits chan struct{}
	calls   atomic.Uint64
	decoy   Hash
	derive  func(text, salt []byte, p Params) []byte

	mu     sync.Mutex // guards random: the readers of tests are not concurrent
	random io.Reader
}

// NewHasher makes a Hasher of today's parameters. It panics on parameters out
// of bounds and on fewer than one permit: both are faults of the program.
// random is crypto/rand.Reader but in tests.
func NewHasher(p Params, permits int, random io.Reader) *Hasher {
	if !p.Valid() || permits < 1 || random == nil {
		panic(fmt.Sprintf("password: NewHasher with %+v and %d permits", p, permits))
	}
	h := &Hasher{params: p, permits: make(chan struct{}, permits), random: random, derive: argon2id}
	// Should random fail, zeros do as well: nobody can find a password for a
	// given tag, and the work is the same. Every Hash will report the failure.
	d := decoded{params: p, salt: make([]byte, p.Salt), tag: make([]byte, p.Tag)}
	_, _ = io.ReadFull(random, d.salt)
	_, _ = io.ReadFull(random, d.tag)
	h.decoy = d.hash()
	return h
}

func (d decoded) hash() Hash {
	s := d.encode()
	return Hash{&s}
}

func argon2id(text, salt []byte, p Params) []byte {
	return argon2.IDKey(text, salt, p.Time, p.MemoryKiB, p.Threads, uint32(p.Tag))
}

// Hash makes the hash to store. A password that can never be one (empty, over
// the limits, with control characters, the placeholder) is refused before any
// work with a *problem.Problem of kind Invalid; the minimum length and the
// blocklist are [Policy.Check]'s. When ctx ends before a permit is free the
// error is ctx.Err(); a hash that has begun is finished.
func (h *Hasher) Hash(ctx context.Context, p Plain) (Hash, error) {
	text, fault := prepare(p)
	if fault != nil {
		return Hash{}, problem.Several(problem.Invalid, []problem.Item{*fault})
	}
	d := decoded{params: h.params, salt: make([]byte, h.params.Salt)}
	h.mu.Lock()
	_, err := io.ReadFull(h.random, d.salt)
	h.mu.Unlock()
	if err != nil {
		return Hash{}, fmt.Errorf("password: reading a salt: %w", err)
	}
	if d.tag, err = h.run(ctx, text, d.salt, h.params); err != nil {
		return Hash{}, err
	}
	return d.hash(), nil
}

// Result is the answer of [Hasher.Verify].
type Result struct {
	Match bool
	// Outdated says that the password matches a hash made with other
	// parameters than today's, in whatever they differ: hash it again (H1).
	Outdated bool
}

// Verify tells whether p is the password of stored. It costs exactly one hash,
// whatever p is: one that can never be a password is hashed too and never
// matches (A10). The zero Hash counts as [Hasher.Decoy]. The errors are
// ctx.Err(), as for Hash, and a stored string that is damaged or asks for more
// memory than a verification may take.
func (h *Hasher) Verify(ctx context.Context, p Plain, stored Hash) (Result, error) {
	if stored.IsZero() {
		stored = h.decoy
	}
	d, err := decode(stored.PHC())
	if err != nil {
		return Result{}, err
	}
	if d.params.MemoryKiB > max(verifyCeilingKiB, h.params.MemoryKiB) {
		return Result{}, errors.New("password: the stored hash asks for more memory than a verification may take")
	}
	text, fault := prepare(p)
	tag, err := h.run(ctx, text, d.salt, d.params)
	if err != nil {
		return Result{}, err
	}
	match := subtle.ConstantTimeCompare(tag, d.tag) == 1 && fault == nil
	return Result{Match: match, Outdated: match && d.params != h.params}, nil
}

// Decoy is what to verify against where there is no such name: a string of
// today's parameters with random salt and tag. It matches no password, and
// verifying against it costs what every verification costs.
func (h *Hasher) Decoy() Hash { return h.decoy }

// Calls counts the hashes begun, for tests that hold a budget of them.
func (h *Hasher) Calls() uint64 { return h.calls.Load() }

// run is the only place that hashes. It works on the caller's goroutine, so a
// permit is free again exactly when its hash has ended, even if ctx ended long
// before: a flood of abandoned requests cannot raise the memory in use.
func (h *Hasher) run(ctx context.Context, text string, salt []byte, p Params) ([]byte, error) {
	// A select between a free permit and an ended ctx would choose by chance.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case h.permits <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.permits }()
	h.calls.Add(1)
	return h.derive([]byte(text), salt, p), nil
}
