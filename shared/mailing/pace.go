package mailing

import "time"

// Pace is the one pace of the whole account: a reservation of time for every
// mail (GCRA), read and moved by all who send.
type Pace struct {
	Rate        float64   `json:"rate"`       // mails a second granted; 0 is no limit
	Factor      float64   `json:"factor"`     // lowered by throttling, raised by clean minutes; 0 is 1
	DailyQuota  float64   `json:"dailyQuota"` // 0 is no limit
	SentLastDay float64   `json:"sentLastDay"`
	Enabled     bool      `json:"enabled"`
	Reason      string    `json:"reason,omitempty"`
	Until       time.Time `json:"until,omitzero"` // time up to which the bulk rate is reserved
	ReadAt      time.Time `json:"readAt,omitzero"`
	LoweredAt   time.Time `json:"loweredAt,omitzero"`
}

const (
	// bulkShare is what a mailing may use of the rate, less bulkReserve; the
	// rest is for single mails, which are never stuck behind one (H17).
	bulkShare   = 0.9
	bulkReserve = 2.0
	// quotaShare is where bulk stops in the day's quota.
	quotaShare = 0.8
)

// BulkRate is the rate of mailings, 0 for no limit.
func (p *Pace) BulkRate() float64 {
	if p.Rate <= 0 {
		return 0
	}
	rate := p.Rate * bulkShare
	if rate > 2*bulkReserve {
		rate -= bulkReserve
	} else {
		rate /= 2 // an account of a few mails a second still sends
	}
	if p.Factor > 0 {
		rate *= p.Factor
	}
	return rate
}

// BulkQuotaLeft is how many mails mailings may still send today; negative
// means that there is no limit.
func (p *Pace) BulkQuotaLeft() float64 {
	if p.DailyQuota <= 0 {
		return -1
	}
	return max(0, p.DailyQuota*quotaShare-p.SentLastDay)
}

// room says whether mailings may send n more mails today.
func (p *Pace) room(n int) bool {
	left := p.BulkQuotaLeft()
	return left < 0 || left >= float64(n)
}

// halted says that the account sends nothing now.
func (p *Pace) halted() bool { return !p.ReadAt.IsZero() && !p.Enabled }

// unlimited says that there is neither a rate nor a quota to keep to.
func (p *Pace) unlimited() bool { return p.BulkRate() == 0 && p.DailyQuota <= 0 }

// wait is how long it takes until the next mails may go.
func (p *Pace) wait(now time.Time) time.Duration {
	if p.BulkRate() == 0 {
		return 0
	}
	return max(0, p.Until.Sub(now))
}

// reserve takes n mails' worth of the bulk rate.
func (p *Pace) reserve(now time.Time, n int) {
	p.SentLastDay += float64(n)
	if p.Until.Before(now) {
		p.Until = now
	}
	p.Until = p.Until.Add(p.span(n))
}

// giveBack undoes the reservation of n mails that were not sent.
func (p *Pace) giveBack(n int) {
	p.SentLastDay = max(0, p.SentLastDay-float64(n))
	p.Until = p.Until.Add(-p.span(n))
}

// span is how long n mails take at the bulk rate.
func (p *Pace) span(n int) time.Duration {
	rate := p.BulkRate()
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(n) / rate * float64(time.Second))
}

// lower is what throttling does to the pace; it is done at most once a second.
func (p *Pace) lower(now time.Time) {
	if now.Sub(p.LoweredAt) < time.Second {
		return
	}
	if p.Factor == 0 {
		p.Factor = 1
	}
	p.Factor, p.LoweredAt = max(0.05, p.Factor*0.7), now
}

// Read takes in what the account grants now, and raises a lowered pace by 5 %
// for every clean minute.
func (p *Pace) Read(a Account, now time.Time) {
	if p.ReadAt.IsZero() && a.Rate > 0 {
		p.Factor = 0 // throttled before anybody knew the rate: that says nothing about it
	}
	if p.Factor > 0 && p.Factor < 1 && now.Sub(p.LoweredAt) >= time.Minute {
		p.Factor, p.LoweredAt = min(1, p.Factor+0.05), now
	}
	p.Rate, p.DailyQuota, p.SentLastDay, p.Enabled, p.Reason, p.ReadAt = a.Rate, a.DailyQuota, a.SentLastDay, a.Enabled, a.Reason, now
}

// MaxLanes is how many lanes a mailing has at most.
const MaxLanes = 16

// Lanes is how many lanes a mailing is worth at this pace: one for every 50
// mails a second, 1 to MaxLanes.
func (p *Pace) Lanes() int {
	if rate := p.BulkRate(); rate > 0 {
		return max(1, min(int(rate/50)+1, MaxLanes))
	}
	return MaxLanes
}

// PerBatch is how many mails of at most bound encoded bytes make a batch.
func (p *Pace) PerBatch(bound int) int {
	n := min(MaxBatch, MaxCall/max(bound, 1))
	if rate := p.BulkRate(); rate > 0 {
		n = min(n, int(rate))
	}
	return max(n, 1)
}
