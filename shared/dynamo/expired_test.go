package dynamo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

// TestExpired: time to live removes late, at any moment or, as here, never
// (tests' tables have it off). An item whose time is over is an item like any
// other to the driver, and its reader decides.
func TestExpired(t *testing.T) {
	db := fresh(t, tools.DynamoDBLocal(t))
	ctx := t.Context()
	over := value("over")
	over.Expires = time.Now().Add(-48 * time.Hour).Unix()
	if err := db.Commit(ctx, nil, []store.Write{over}); err != nil {
		t.Fatal(err)
	}
	there, err := db.Get(ctx, over.Key)
	if err != nil || there == nil || there.Expires != over.Expires || string(there.Value) != "over" {
		t.Fatalf("%+v, %v", there, err)
	}
	// That it is gone is no condition that passes before it is.
	if err := db.Commit(ctx, []store.Check{{Key: over.Key}}, []store.Write{value("new")}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	// Whoever saw it commits on what was seen,
	if err := db.Commit(ctx, []store.Check{{Key: over.Key, Rev: there.Rev}}, []store.Write{over}); err != nil {
		t.Fatal(err)
	}
	// and loses where it was removed meanwhile, to read again and win.
	s := &store.Store{DB: db}
	old := &session.Attempts{Organization: "acme", Key: "name", Failures: 7, Expires: time.Now().Add(-time.Hour)}
	if err := s.Update(ctx, func(tx *store.Tx) error { tx.PutAttempts(old); return nil }); err != nil {
		t.Fatal(err)
	}
	var seen []int
	err = s.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.Attempts("acme", "name")
		if err != nil {
			return err
		}
		if a == nil {
			a = &session.Attempts{Organization: "acme", Key: "name", Expires: time.Now().Add(time.Hour)}
		}
		if seen = append(seen, a.Failures); len(seen) == 1 {
			removed := store.Key{Table: store.Sessions, Partition: "acme#attempts#name", Sort: "attempts"}
			if err := db.Commit(ctx, nil, []store.Write{deletion(removed)}); err != nil {
				return err
			}
		}
		a.Failures++
		tx.PutAttempts(a)
		return nil
	})
	if diff := cmp.Diff([]int{7, 0}, seen); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	if a, err := s.Attempts(ctx, "acme", "name"); err != nil || a == nil || a.Failures != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}
