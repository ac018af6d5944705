package mailbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Faults are what goes wrong on purpose. Chances are between 0 and 1.
type Faults struct {
	Throttle  float64 // of a mail: throttled, not taken
	Transient float64 // of a mail: a passing failure, not taken
	Fail      float64 // of a mail: refused without a word, not taken
	Reject    float64 // of a mail: refused for good
	Bounce    float64 // of a mail: taken, and bounces for good
	Complaint float64 // of a mail: taken, delivered, and the person complains
	Drop      float64 // of a call: taken, and the answer is lost
	Lose      float64 // of a call: not taken, and the answer is lost
	Twice     float64 // of an event: published twice

	Slow    time.Duration // from taking a call to answering it
	Late    time.Duration // from taking a mail to publishing its events
	Shuffle bool          // events that are published together are in any order
	Pause   bool          // the account's sending is paused
	Rate    float64       // mails a second, in place of the account's
	Quota   float64       // mails a day, in place of the account's
	Seed    uint64        // of the dice: the same calls in the same order meet the same faults
}

// ParseFaults reads the -fail flag: names of faults with their values,
// separated by commas, such as
//
//	throttle=0.1,drop=0.02,slow=50ms,pause,quota=1000,seed=7
func ParseFaults(text string) (Faults, error) {
	var f Faults
	for _, word := range strings.Split(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		name, value, given := strings.Cut(word, "=")
		if err := f.set(name, value, given); err != nil {
			return Faults{}, err
		}
	}
	return f, nil
}

// faultNames is for the message about a name that is not one.
const faultNames = "throttle, transient, fail, reject, bounce, complaint, drop, lose, twice (chances), slow, late (durations), shuffle, pause, rate, quota, seed"

func (f *Faults) set(name, value string, given bool) (err error) {
	chance := map[string]*float64{
		"throttle": &f.Throttle, "transient": &f.Transient, "fail": &f.Fail, "reject": &f.Reject, "bounce": &f.Bounce,
		"complaint": &f.Complaint, "drop": &f.Drop, "lose": &f.Lose, "twice": &f.Twice,
	}[name]
	number := map[string]*float64{"rate": &f.Rate, "quota": &f.Quota}[name]
	duration := map[string]*time.Duration{"slow": &f.Slow, "late": &f.Late}[name]
	flag := map[string]*bool{"shuffle": &f.Shuffle, "pause": &f.Pause}[name]
	var wants string
	ok := true
	switch {
	case chance != nil:
		wants = "a chance between 0 and 1"
		*chance, err = strconv.ParseFloat(value, 64)
		ok = err == nil && *chance >= 0 && *chance <= 1
	case number != nil:
		wants = "a number above 0"
		*number, err = strconv.ParseFloat(value, 64)
		ok = err == nil && *number > 0 && *number <= 1e9
	case duration != nil:
		wants = "a duration such as 50ms"
		*duration, err = time.ParseDuration(value)
		ok = err == nil && *duration >= 0
	case flag != nil:
		wants = "no value"
		*flag, ok = true, !given
	case name == "seed":
		wants = "a whole number"
		f.Seed, err = strconv.ParseUint(value, 10, 64)
		ok = err == nil
	default:
		return fmt.Errorf("mailbox: there is no fault %q; there are %s", name, faultNames)
	}
	if !ok {
		return fmt.Errorf("mailbox: fault %s wants %s, not %q", name, wants, value)
	}
	return nil
}

// String is what ParseFaults reads.
func (f Faults) String() string {
	var words []string
	number := func(name string, value float64) {
		if value != 0 {
			words = append(words, name+"="+strconv.FormatFloat(value, 'g', -1, 64))
		}
	}
	for _, c := range []struct {
		name  string
		value float64
	}{
		{"throttle", f.Throttle}, {"transient", f.Transient}, {"fail", f.Fail}, {"reject", f.Reject}, {"bounce", f.Bounce},
		{"complaint", f.Complaint}, {"drop", f.Drop}, {"lose", f.Lose}, {"twice", f.Twice}, {"rate", f.Rate}, {"quota", f.Quota},
	} {
		number(c.name, c.value)
	}
	if f.Slow != 0 {
		words = append(words, "slow="+f.Slow.String())
	}
	if f.Late != 0 {
		words = append(words, "late="+f.Late.String())
	}
	if f.Shuffle {
		words = append(words, "shuffle")
	}
	if f.Pause {
		words = append(words, "pause")
	}
	if f.Seed != 0 {
		words = append(words, "seed="+strconv.FormatUint(f.Seed, 10))
	}
	return strings.Join(words, ",")
}

// dice are of one call, so that calls made at once do not share any.
type dice struct{ *rand.Rand }

func (f *Faults) dice(call uint64) *dice {
	if f.Throttle+f.Transient+f.Fail+f.Reject+f.Bounce+f.Complaint+f.Drop+f.Lose == 0 {
		return nil
	}
	return &dice{rand.New(rand.NewPCG(f.Seed, call))}
}

// hit is whether something of this chance happens.
func (d *dice) hit(chance float64) bool {
	return chance > 0 && d.Float64() < chance
}
