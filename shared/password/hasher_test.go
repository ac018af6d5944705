package password_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
)

const good = "balcony trophy june acorn"

func newHasher(permits int) *password.Hasher {
	return password.NewHasher(password.Fast, permits, rand.Reader)
}

func mustHash(t *testing.T, h *password.Hasher, text string) password.Hash {
	t.Helper()
	hash, err := h.Hash(t.Context(), password.NewPlain(text))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// known is a tag of the reference implementation (phc-winner-argon2, its
// test.c: version 0x13, t=2, m=2^16, p=1, "password", "somesalt").
const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestVerifyKnowsTheReferenceImplementation(t *testing.T) {
	stored, _, err := password.ParsePHC(known)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]password.Result{
		"password": {Match: true, Outdated: true},
		"Password": {},
	} {
		if got, err := newHasher(1).Verify(t.Context(), password.NewPlain(text), stored); err != nil || got != want {
			t.Errorf("Verify(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestHashAndVerify(t *testing.T) {
	h := newHasher(1)
	for _, tt := range []struct {
		set, typed string
		match      bool
	}{
		{good, good, true},
		{good, good + " ", false},
		{good, "", false},
		{"caf\u00e9 au lait pour deux", "cafe\u0301 au lait pour deux", true},
		{"two\u00a0words\u3000or three", "two words or three", true},
		{"two words or three", "two  words or three", false},
		{"\U0001f511 is the key to it", "\U0001f511 is the key to it", true},
		{strings.Repeat("\U0001f511", 256), strings.Repeat("\U0001f511", 256), true},
		{strings.Repeat("x", 255) + "y", strings.Repeat("x", 255) + "z", false}, // nothing is cut off
	} {
		got, err := h.Verify(t.Context(), password.NewPlain(tt.typed), mustHash(t, h, tt.set))
		if want := (password.Result{Match: tt.match}); err != nil || got != want {
			t.Errorf("set %q, typed %q: %+v, %v; want %+v", tt.set, tt.typed, got, err, want)
		}
	}
	if a, b := mustHash(t, h, good), mustHash(t, h, good); a.Equal(b) || !a.Equal(a) {
		t.Error("two hashes of one password share their salt")
	}
}

func TestVerifySaysWhichHashesAreOutdated(t *testing.T) {
	today := password.Params{MemoryKiB: 16, Time: 2, Threads: 2, Salt: 16, Tag: 32}
	for name, change := range map[string]func(*password.Params){
		"nothing": func(*password.Params) {},
		"memory":  func(p *password.Params) { p.MemoryKiB++ },
		"less":    func(p *password.Params) { p.Time-- },
		"threads": func(p *password.Params) { p.Threads-- },
		"salt":    func(p *password.Params) { p.Salt++ },
		"tag":     func(p *password.Params) { p.Tag-- },
	} {
		then := today
		change(&then)
		stored := mustHash(t, password.NewHasher(then, 1, rand.Reader), good)
		h := password.NewHasher(today, 1, rand.Reader)
		if got, err := h.Verify(t.Context(), password.NewPlain(good), stored); err != nil || !got.Match || got.Outdated != (name != "nothing") {
			t.Errorf("%s changed: %+v, %v", name, got, err)
		}
		if got, err := h.Verify(t.Context(), password.NewPlain("wrong"), stored); err != nil || got != (password.Result{}) {
			t.Errorf("%s changed, wrong password: %+v, %v", name, got, err)
		}
	}
}

// illegal are texts that can never be a password, and the reason.
var illegal = map[string]string{
	"":                                "password_too_short",
	"tab\tin the password":            "password_characters",
	"nul\x00in the password":          "password_characters",
	"line\nin the password":           "password_characters",
	"not UTF-8 \xff password":         "password_characters",
	"not decoded \ufffd password":     "password_characters",
	strings.Repeat("x", 257):          "password_too_long",
	strings.Repeat("xy", 1<<20):       "password_too_long",
	strings.Repeat("\U0001f511", 257): "password_too_long",
	password.Placeholder:              "password_is_placeholder",
}

func TestA10EveryVerificationCostsExactlyOneHash(t *testing.T) {
	h := newHasher(1)
	stored := mustHash(t, h, good)
	// The hash of an empty text is what an illegal password is compared with.
	typed := map[string]string{good: "", "wrong": ""}
	for text, code := range illegal {
		typed[text] = code
	}
	for text := range typed {
		for name, against := range map[string]password.Hash{"stored": stored, "decoy": h.Decoy(), "none": {}} {
			before := h.Calls()
			got, err := h.Verify(t.Context(), password.NewPlain(text), against)
			want := password.Result{Match: text == good && name == "stored"}
			if calls := h.Calls() - before; err != nil || got != want || calls != 1 {
				t.Errorf("Verify(%.30q, %s) = %+v, %v with %d hashes; want %+v with 1", text, name, got, err, calls, want)
			}
		}
	}
	before := h.Calls()
	if got, err := h.Verify(t.Context(), password.Plain{}, stored); err != nil || got.Match || h.Calls()-before != 1 {
		t.Errorf("the zero Plain: %+v, %v with %d hashes", got, err, h.Calls()-before)
	}
}

// A hash of the empty text must not let an illegal password in, which is
// hashed as the empty text.
func TestAnIllegalPasswordNeverMatches(t *testing.T) {
	h := password.WithDerive(newHasher(1), func(_, _ []byte, p password.Params) []byte { return make([]byte, p.Tag) })
	stored := mustHash(t, h, good) // with this derivation every tag is the same
	if got, err := h.Verify(t.Context(), password.NewPlain("any legal one"), stored); err != nil || !got.Match {
		t.Fatalf("the derivation is not in place: %+v, %v", got, err)
	}
	for text := range illegal {
		if got, err := h.Verify(t.Context(), password.NewPlain(text), stored); err != nil || got != (password.Result{}) {
			t.Errorf("Verify(%.30q) = %+v, %v", text, got, err)
		}
	}
}

func TestA10DecoyHasTodaysParams(t *testing.T) {
	for _, p := range []password.Params{
		password.Fast, password.Production,
		{MemoryKiB: 4096, Time: 2, Threads: 3, Salt: 8, Tag: 16},
		{MemoryKiB: 1 << 20, Time: 10, Threads: 16, Salt: 64, Tag: 64},
	} {
		h := password.NewHasher(p, 1, rand.Reader)
		_, got, err := password.ParsePHC(h.Decoy().PHC())
		if err != nil || got != p {
			t.Errorf("decoy of %+v has %+v, %v", p, got, err)
		}
		if h.Calls() != 0 {
			t.Errorf("the decoy took %d hashes", h.Calls())
		}
		if other := password.NewHasher(p, 1, rand.Reader); other.Decoy().Equal(h.Decoy()) {
			t.Error("two hashers have the same decoy")
		}
	}
}

func TestA16AnIllegalPasswordIsRefusedBeforeHashing(t *testing.T) {
	h := newHasher(1)
	for text, code := range illegal {
		hash, err := h.Hash(t.Context(), password.NewPlain(text))
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok || !hash.IsZero() || p.Kind != problem.Invalid || p.Code != code || p.Field != "password" {
			t.Errorf("Hash(%.30q): %v; want %s", text, err, code)
		}
	}
	if h.Calls() != 0 {
		t.Errorf("%d hashes were made", h.Calls())
	}
	huge := password.NewPlain(strings.Repeat("x", 10<<20))
	if n := testing.AllocsPerRun(10, func() { _, _ = h.Hash(context.Background(), huge) }); n > 20 {
		t.Errorf("refusing 10 MiB takes %v allocations", n)
	}
}

func TestVerifyRefusesDamagedAndHungryHashes(t *testing.T) {
	h := newHasher(1)
	// One KiB above the ceiling of 256 MiB.
	hungry, _, err := password.ParsePHC(strings.Replace(known, "m=65536", "m=262145", 1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Verify(t.Context(), password.NewPlain("password"), hungry)
	if err == nil || got != (password.Result{}) || h.Calls() != 0 {
		t.Errorf("Verify = %+v, %v with %d hashes", got, err, h.Calls())
	}
	// Where today's parameters take as much, the same string is fine.
	today := password.Fast
	today.MemoryKiB = 262145
	rich := password.WithDerive(password.NewHasher(today, 1, rand.Reader), func(_, _ []byte, p password.Params) []byte { return make([]byte, p.Tag) })
	if _, err := rich.Verify(t.Context(), password.NewPlain("password"), hungry); err != nil || rich.Calls() != 1 {
		t.Errorf("Verify within today's parameters: %v with %d hashes", err, rich.Calls())
	}
}

func TestA13AFailingRandGivesNoHash(t *testing.T) {
	broken := errors.New("no entropy")
	h := password.NewHasher(password.Fast, 1, iotest.ErrReader(broken))
	for range 2 {
		if hash, err := h.Hash(t.Context(), password.NewPlain(good)); !errors.Is(err, broken) || !hash.IsZero() {
			t.Errorf("Hash = %v, %v", hash, err)
		}
	}
	// A reader that ends within the salt is as bad.
	h = password.NewHasher(password.Fast, 1, io.LimitReader(rand.Reader, 16+32+15))
	if hash, err := h.Hash(t.Context(), password.NewPlain(good)); err == nil || !hash.IsZero() {
		t.Errorf("Hash with half a salt = %v, %v", hash, err)
	}
	if h.Calls() != 0 {
		t.Errorf("%d hashes were made", h.Calls())
	}
	if got, err := h.Verify(t.Context(), password.NewPlain(good), h.Decoy()); err != nil || got.Match {
		t.Errorf("Verify against the decoy = %+v, %v", got, err)
	}
}

func TestNoMoreHashesAtOnceThanPermits(t *testing.T) {
	const permits, callers = 2, 64
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		next := make(chan struct{})
		h := password.WithDerive(newHasher(permits), func(_, _ []byte, p password.Params) []byte {
			now := running.Add(1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			<-next
			running.Add(-1)
			return make([]byte, p.Tag)
		})
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = h.Hash(context.Background(), password.NewPlain(good))
				} else {
					_, err = h.Verify(context.Background(), password.NewPlain(good), h.Decoy())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		for done := range callers {
			synctest.Wait() // everybody hashes or waits
			if want := min(permits, callers-done); running.Load() != int64(want) {
				t.Fatalf("%d hashes at once after %d, want %d", running.Load(), done, want)
			}
			next <- struct{}{}
		}
		all.Wait()
		if most.Load() != permits || h.Calls() != callers {
			t.Errorf("at most %d at once, %d calls; want %d and %d", most.Load(), h.Calls(), permits, callers)
		}
	})
}

func TestA16ACancelledRequestKeepsItsPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		h := password.WithDerive(newHasher(1), func(_, _ []byte, p password.Params) []byte {
			<-finish
			return make([]byte, p.Tag)
		})
		hash := func(ctx context.Context) <-chan error {
			ended := make(chan error, 1)
			go func() {
				_, err := h.Hash(ctx, password.NewPlain(good))
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		working, cancelWorking := context.WithCancel(t.Context())
		waiting, cancelWaiting := context.WithCancel(t.Context())
		defer cancelWaiting()

		first := hash(working)
		cancelWorking() // its request is gone, its hash is not
		second := hash(waiting)
		third := hash(t.Context())
		if h.Calls() != 1 {
			t.Fatalf("%d hashes at once with one permit", h.Calls())
		}
		cancelWaiting()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("who waits with a cancelled context: %v", err)
		}
		if h.Calls() != 1 {
			t.Fatalf("the cancelled waiter began a hash")
		}
		finish <- struct{}{}
		<-first
		synctest.Wait()
		if h.Calls() != 2 {
			t.Fatal("the permit did not come free when its hash ended")
		}
		finish <- struct{}{}
		if err := <-third; err != nil {
			t.Error(err)
		}
		for range 20 { // a select would take the free permit every other time
			select {
			case err := <-hash(working):
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a context that has ended, with a free permit: %v", err)
				}
			case finish <- struct{}{}:
				t.Fatal("a context that has ended, with a free permit: a hash began")
			}
		}
	})
}

func TestAPanicFreesThePermit(t *testing.T) {
	h := password.WithDerive(newHasher(1), func(_, _ []byte, _ password.Params) []byte { panic("out of memory") })
	for range 2 { // the second would wait for ever
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, _ = h.Hash(t.Context(), password.NewPlain(good))
		}()
	}
}

func TestNewHasherRefusesFaultsOfTheProgram(t *testing.T) {
	weak := password.Fast
	weak.Tag = 8
	for name, make := range map[string]func(){
		"permits": func() { password.NewHasher(password.Fast, 0, rand.Reader) },
		"params":  func() { password.NewHasher(weak, 1, rand.Reader) },
		"zero":    func() { password.NewHasher(password.Params{}, 1, rand.Reader) },
		"random":  func() { password.NewHasher(password.Fast, 1, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			make()
		}()
	}
}

func BenchmarkHashProduction(b *testing.B) {
	h := password.NewHasher(password.Production, 1, rand.Reader)
	p := password.NewPlain(good)
	for b.Loop() {
		if _, err := h.Hash(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// What Hasher adds to the bare Argon2id of x/crypto.
func BenchmarkVerifyWithoutTheHash(b *testing.B) {
	tag := make([]byte, password.Production.Tag)
	h := password.WithDerive(password.NewHasher(password.Production, 1, rand.Reader), func(_, _ []byte, _ password.Params) []byte { return tag })
	p := password.NewPlain(good)
	for b.Loop() {
		if _, err := h.Verify(b.Context(), p, h.Decoy()); err != nil {
			b.Fatal(err)
		}
	}
}
