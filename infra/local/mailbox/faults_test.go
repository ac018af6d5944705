package mailbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

func TestParseFaults(t *testing.T) {
	for _, test := range []struct {
		text string
		want mailbox.Faults
	}{
		{"", mailbox.Faults{}},
		{"throttle=0.1, drop=0.02,lose=0.01,reject=0.001,slow=50ms,pause,quota=1000,seed=7",
			mailbox.Faults{Throttle: .1, Drop: .02, Lose: .01, Reject: .001, Slow: 50 * time.Millisecond, Pause: true, Quota: 1000, Seed: 7}},
		{"transient=1,fail=0.5,bounce=0.2,complaint=0.1,twice=0.3,late=2s,shuffle,rate=14",
			mailbox.Faults{Transient: 1, Fail: .5, Bounce: .2, Complaint: .1, Twice: .3, Late: 2 * time.Second, Shuffle: true, Rate: 14}},
	} {
		got, err := mailbox.ParseFaults(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
		if again, err := mailbox.ParseFaults(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q, which reads %+v, %v", test.text, got, again, err)
		}
	}
	for text, part := range map[string]string{
		"trottle=0.1":   `no fault "trottle"`,
		"drop":          "a chance between 0 and 1",
		"drop=2":        "a chance between 0 and 1",
		"drop=NaN":      "a chance between 0 and 1",
		"throttle=-0.1": "a chance between 0 and 1",
		"slow=50":       "a duration",
		"late=-1s":      "a duration",
		"pause=yes":     "no value",
		"rate=0":        "a number above 0",
		"quota=Inf":     "a number above 0",
		"seed=x":        "a whole number",
	} {
		if _, err := mailbox.ParseFaults(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFaultsOfOneMail(t *testing.T) {
	for _, test := range []struct {
		faults string
		want   mailing.Fault
		reason string
		kept   int
	}{
		{"throttle=1", mailing.Throttled, "account_throttled", 0},
		{"transient=1", mailing.Transient, "transient_failure", 0},
		{"fail=1", mailing.Unclear, "failed", 0},
		{"reject=1", mailing.Rejected, "message_rejected", 0},
		{"pause", mailing.Misconfigured, "account_sending_paused", 0},
		{"quota=0.5", mailing.QuotaUsed, "account_daily_quota_exceeded", 0},
		{"drop=1", mailing.Unknown, "answer_lost", 2},
		{"lose=1", mailing.Unknown, "answer_lost", 0},
	} {
		faults, err := mailbox.ParseFaults(test.faults)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, t.TempDir(), mailbox.Options{Faults: faults})
		for _, r := range s.Send(t.Context(), callTo("x", many(2)...)) {
			if r.Fault != test.want || r.Reason != test.reason || r.MessageID != "" {
				t.Errorf("%s: %+v", test.faults, r)
			}
		}
		if n := len(mails(t, s, mailbox.Filter{})); n != test.kept {
			t.Errorf("%s: %d mails were taken, want %d", test.faults, n, test.kept)
		}
		a, err := s.Account(t.Context())
		if err != nil || a.Enabled == faults.Pause || faults.Quota > 0 && a.DailyQuota != faults.Quota {
			t.Errorf("%s: %+v, %v", test.faults, a, err)
		}
		s.SetFaults(mailbox.Faults{})
		take(t, s, callTo("x", many(2)...))
	}
}

func TestChosenFates(t *testing.T) {
	for faults, want := range map[mailbox.Faults]string{{Bounce: 1}: "bounced", {Complaint: 1}: "complained"} {
		s := open(t, t.TempDir(), mailbox.Options{Faults: faults})
		take(t, s, callTo("x", "ana@example.com"))
		if got := mails(t, s, mailbox.Filter{})[0].Outcome; got != want || !s.Suppressed("ana@example.com") {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The same seed brings the same faults, and about as many as asked for.
func TestSeed(t *testing.T) {
	run := func(seed uint64) (all []mailing.Fault) {
		s := open(t, t.TempDir(), mailbox.Options{Faults: mailbox.Faults{Throttle: .2, Drop: .1, Lose: .1, Seed: seed}})
		for i := range 200 {
			all = append(all, faultsOf(s.Send(t.Context(), callTo(fmt.Sprint(i), many(10)...)))...)
		}
		return all
	}
	one, again, other := run(7), run(7), run(8)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(one, other) {
		t.Error("another seed changes nothing")
	}
	count := map[mailing.Fault]int{}
	for _, f := range one {
		count[f]++
	}
	if n := count[mailing.Unknown]; n < 200 || n > 600 {
		t.Errorf("%d of 2,000 answers are lost, not about 380", n)
	}
	if n := count[mailing.Throttled]; n < 200 || n > 450 {
		t.Errorf("%d of 2,000 mails are throttled, not about 324", n)
	}
}

func TestCallerWhoDoesNotWait(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{Faults: mailbox.Faults{Slow: time.Hour}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r := s.Send(ctx, callTo("x", "ana@example.com"))[0]
	if r.Fault != mailing.Unknown || r.MessageID != "" {
		t.Errorf("%+v", r)
	}
	if n := len(mails(t, s, mailbox.Filter{})); n != 1 {
		t.Errorf("%d mails: slow is the time between taking them and saying so", n)
	}
}
