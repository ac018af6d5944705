package store

import (
	"crypto/sha256"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
)

// filled sets every field of v, at every depth, to something that is not zero,
// so that a field which a codec forgets cannot come back equal.
func filled(v reflect.Value, r *rand.Rand) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000 + r.Int64N(1e9)).UTC()))
		return
	case profile.Type:
		v.Set(reflect.ValueOf(types[1+r.IntN(len(types)-1)]))
		return
	case profile.Status:
		v.Set(reflect.ValueOf(statuses[1+r.IntN(len(statuses)-1)]))
		return
	case mailing.Outcome:
		v.Set(reflect.ValueOf(outcomes[1+r.IntN(len(outcomes)-1)]))
		return
	case mailing.BatchState:
		v.Set(reflect.ValueOf(states[1+r.IntN(len(states)-1)]))
		return
	case mailing.Kind:
		v.Set(reflect.ValueOf(kinds[1+r.IntN(len(kinds)-1)]))
		return
	case link.Purpose:
		v.Set(reflect.ValueOf(purposes[1+r.IntN(len(purposes)-1)]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i), r)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), r)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 3))
		for i := range v.Len() {
			filled(v.Index(i), r)
		}
	case reflect.Array:
		for i := range v.Len() {
			filled(v.Index(i), r)
		}
	case reflect.String:
		v.SetString([]string{"x", "Œuvrard", "a longer text than a byte can count, and then some more of it, until it is longer than one hundred and twenty-seven bytes altogether"}[r.IntN(3)])
	case reflect.Int:
		v.SetInt(1 + r.Int64N(1<<40))
	case reflect.Uint8:
		v.SetUint(1 + r.Uint64N(255))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

func some[T any](r *rand.Rand) *T {
	v := new(T)
	filled(reflect.ValueOf(v).Elem(), r)
	return v
}

// redacting types print nothing, and go-cmp would compare what they print.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s came back changed:\n%s", what, cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })))
	}
}

func item(b []byte) *Item { return &Item{Key: Key{Profiles, "p", "s"}, Value: b} }

func TestEveryFieldComesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := some[profile.Profile](r)
		got, err := decodeProfile(item(encodeProfile(p)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "profile", got, p)

		h := some[profile.Hit](r)
		gotHit, err := decodeHit(item(encodeHit(h)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "hit", gotHit, h)

		b := some[mailing.Batch](r)
		b.Single.RequestedBy.Kind = activity.Staff
		gotBatch, err := decodeBatch(item(encodeBatch(b)), *b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "batch", gotBatch, b)

		st := some[mailing.Stretch](r)
		gotStretch, err := decodeStretch(item(encodeStretch(st)))
		if err != nil {
			t.Fatal(err)
		}
		gotStretch.Organization, gotStretch.Mailing, gotStretch.Generation, gotStretch.First = st.Organization, st.Mailing, st.Generation, st.First
		same(t, "stretch", gotStretch, st)

		l := some[link.Page](r)
		gotPage, err := decodePage(item(encodePage(l)), l.Organization, l.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "link page", gotPage, l)
	}
}

// A status or outcome that the domain has and the codec lacks would stop the
// first write of it.
func TestTheCodecKnowsEveryWord(t *testing.T) {
	for _, s := range profile.Statuses {
		if !slices.Contains(statuses, s) {
			t.Errorf("status %s", s)
		}
	}
	for _, o := range mailing.Outcomes {
		if !slices.Contains(outcomes, o) {
			t.Errorf("outcome %s", o)
		}
	}
	for _, kind := range []profile.Type{profile.Individual, profile.Organization} {
		if !slices.Contains(types, kind) {
			t.Errorf("type %s", kind)
		}
	}
}

func TestEmptyRecordsComeBack(t *testing.T) {
	p, err := decodeProfile(item(encodeProfile(&profile.Profile{})))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "profile", p, &profile.Profile{})
	b, err := decodeBatch(item(encodeBatch(&mailing.Batch{})), mailing.Batch{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "batch", b, &mailing.Batch{})
}

// A later release appends fields; this one reads past them, and reads as zero
// what an earlier one did not write.
func TestOldAndNewReadEachOther(t *testing.T) {
	h := some[profile.Hit](rand.New(rand.NewPCG(3, 4)))
	b := encodeHit(h)
	later, err := decodeHit(item(append(b[:len(b):len(b)], 3, 'n', 'e', 'w')))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "hit of a later release", later, h)
	earlier, err := decodeHit(item(b[:len(b)-1-len(h.Relationship)]))
	if err == nil {
		h.Relationship = ""
		same(t, "hit of an earlier release", earlier, h)
	}
}

func TestOtherFormatsAreRefused(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {0}, {2}, []byte(`{"id":"1"}`)} {
		if _, err := decodeProfile(item(b)); err == nil {
			t.Errorf("%q was read as a profile", b)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	f.Add(encodeProfile(some[profile.Profile](r)))
	f.Add(encodeBatch(some[mailing.Batch](r)))
	f.Add(encodePage(some[link.Page](r)))
	f.Add(encodeHit(some[profile.Hit](r)))
	f.Add(append([]byte{format1}, make([]byte, sha256.Size)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Nothing that a file may hold makes a reader panic or take more memory
		// than a small multiple of the record.
		_, _ = decodeProfile(item(b))
		_, _ = decodeHit(item(b))
		_, _ = decodeStretch(item(b))
		_, _ = decodeBatch(item(b), mailing.Batch{})
		_, _ = decodePage(item(b), "o", "p")
	})
}
