package mailbox

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// gate is the account's rate and daily quota.
type gate struct {
	verified []string

	mu     sync.Mutex
	rate   float64
	quota  float64
	tokens float64 // of the rate; at most two seconds' worth, for SES bears short bursts
	filled time.Time
	day    day
}

const burstSeconds = 2

func (g *gate) grant(rate, quota float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rate, g.quota, g.tokens, g.filled = rate, quota, max(1, rate*burstSeconds), time.Time{}
}

func (g *gate) account(now time.Time) (rate, quota, sent float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rate, g.quota, float64(g.day.sum(now))
}

// admit says how many of n mails the quota and the rate have room for, and
// takes that room.
func (g *gate) admit(now time.Time, n int) (quota, rate int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	quota, rate = n, n
	if g.quota > 0 {
		quota = max(0, min(n, int(g.quota)-g.day.sum(now)))
	}
	if g.rate > 0 {
		if !g.filled.IsZero() {
			g.tokens = min(max(1, g.rate*burstSeconds), g.tokens+g.rate*now.Sub(g.filled).Seconds())
		}
		g.filled = now
		rate = min(quota, int(g.tokens))
		g.tokens -= float64(rate)
	}
	g.day.add(now, min(quota, rate))
	return quota, rate
}

// giveBack is for mails that could not be kept after all.
func (g *gate) giveBack(now time.Time, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens += float64(n)
	g.day.add(now, -n)
}

// mayReceive says whether a sandbox lets mail go to this address.
func (g *gate) mayReceive(address, domain string) bool {
	return isSimulator(domain) || g.isVerified(address, domain)
}

func (g *gate) isVerified(address, domain string) bool {
	return slices.ContainsFunc(g.verified, func(v string) bool {
		return strings.EqualFold(v, address) || strings.EqualFold(v, domain)
	})
}

// day counts the mails of the last 24 hours by the minute.
type day struct {
	minutes [24 * 60]struct {
		minute int64 // since 1970
		mails  int
	}
	total  int
	oldest int64 // the first minute that is in total
}

func (d *day) add(at time.Time, n int) {
	minute := at.Unix() / 60
	m := &d.minutes[minute%int64(len(d.minutes))]
	d.expire(minute)
	if m.minute != minute {
		if m.minute > minute {
			return // of a day that is over
		}
		m.minute, m.mails = minute, 0
	}
	m.mails += n
	d.total += n
}

func (d *day) sum(now time.Time) int {
	d.expire(now.Unix() / 60)
	return d.total
}

// expire takes out the minutes that are more than a day before this one.
func (d *day) expire(minute int64) {
	size := int64(len(d.minutes))
	first := minute - size + 1
	if first <= d.oldest {
		return
	}
	for k := d.oldest; k < min(first, d.oldest+size); k++ {
		if m := &d.minutes[k%size]; m.minute == k {
			d.total -= m.mails
			m.mails = 0
		}
	}
	d.oldest = first
}
