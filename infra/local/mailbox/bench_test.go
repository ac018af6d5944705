package mailbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

// fullCall is a call of 50 mails of 6 kB, as a mailing makes them.
func fullCall() mailing.Call {
	call := callTo("bench", many(mailing.MaxBatch)...)
	part := strings.Repeat(`<p style="margin:0 0 16px">Dear member, this is a line.</p>`, 60)
	for i := range call.Mails {
		call.Mails[i].Tag = fmt.Sprintf("m_0199c0ffee00_1_3_1234_%d", i)
		call.Mails[i].Data = data("Your login", part, strings.Repeat("Dear member, this is a line.\n", 70))
	}
	return call
}

func benchmarkSend(b *testing.B, opts mailbox.Options) {
	s := open(b, b.TempDir(), opts)
	call := fullCall()
	b.SetBytes(int64(len(call.Mails) * len(call.Mails[0].Data)))
	b.ReportAllocs()
	for b.Loop() {
		if r := s.Send(context.Background(), call); r[49].Fault != mailing.Taken {
			b.Fatalf("%+v", r[49])
		}
	}
	b.ReportMetric(float64(s.Accepted())/b.Elapsed().Seconds(), "mails/s")
}

func BenchmarkSend(b *testing.B)        { benchmarkSend(b, mailbox.Options{}) }
func BenchmarkSendDiscard(b *testing.B) { benchmarkSend(b, mailbox.Options{Discard: true}) }
func BenchmarkSendSingle(b *testing.B) {
	s := open(b, b.TempDir(), mailbox.Options{})
	call := fullCall()
	call.Mailing, call.Mails = "", call.Mails[:1]
	for b.Loop() {
		s.Send(context.Background(), call)
	}
	b.ReportMetric(float64(s.Accepted())/b.Elapsed().Seconds(), "mails/s")
}

func BenchmarkPublish(b *testing.B) {
	s := open(b, b.TempDir(), mailbox.Options{})
	call := fullCall()
	for range 400 {
		s.Send(context.Background(), call)
	}
	ctx, cancel := context.WithCancel(b.Context())
	total, n := 400*50*2, 0
	b.ResetTimer()
	_ = s.Publish(ctx, func(_ context.Context, batch [][]byte) error {
		if n += len(batch); n == total {
			cancel()
		}
		return nil
	})
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFind looks through everything that is kept for one address.
func BenchmarkFind(b *testing.B) {
	s := open(b, b.TempDir(), mailbox.Options{})
	call := fullCall()
	for i := range call.Mails {
		call.Mails[i].Data = data("s", "h", "t")
	}
	for range 4000 {
		s.Send(context.Background(), call)
	}
	b.ResetTimer()
	for b.Loop() {
		if all, err := s.Mails(mailbox.Filter{To: "nobody@example.com"}); len(all) != 0 || err != nil {
			b.Fatal(err)
		}
	}
}
