package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/store"
)

// BenchmarkImport imports the members' file whole, fsync on, each time into a
// store that has none of its rows. The time is that of the call: reading and
// checking the file, writing, and listing who is stored and not in the file.
func BenchmarkImport(b *testing.B) {
	file, err := os.ReadFile("../../shared/profile/testdata/members.csv")
	if err != nil {
		b.Fatal(err)
	}
	rows := float64(bytes.Count(file, []byte("\n")) - 1)
	for b.Loop() {
		for _, stored := range []int{0, million()} {
			var rates []float64
			for range 3 {
				rates = append(rates, rows/imported(b, file, stored).Seconds())
			}
			into := "an empty store"
			if stored > 0 {
				into = "a store with " + thousands(stored)
			}
			limit(b, "import of members.csv into "+into, median(rates), 2_000, "rows a second", atLeast)
			tell(b, "", list(rates))
		}
	}
}

// imported times one import into a copy of the store with so many profiles.
func imported(b *testing.B, file []byte, stored int) time.Duration {
	s, remove := fresh(b, stored)
	defer remove()
	d := &directory.Service{
		Store: store.For[directory.Tx](s), Mailings: store.For[mailing.Tx](s), Bells: silent{},
		Now: time.Now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
	start := time.Now()
	answer, err := d.Import(context.Background(), activity.Actor{Kind: activity.Staff, ID: "bench", Name: "Bench"}, org, file, false)
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	if !answer.Complete || answer.Accepted != answer.Created || answer.Accepted < 4000 || answer.MissingTotal != stored {
		b.Fatal(fmt.Sprintf("imported %d of %d created, %d refused, %d missing, complete %v", answer.Accepted, answer.Created, answer.Refused, answer.MissingTotal, answer.Complete))
	}
	return took
}
