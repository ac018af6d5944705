package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/memberkey/memberkey/shared/store"
)

const (
	racers = 64
	rounds = 20
)

// race lets all racers commit at the same moment and wants exactly one to win;
// it returns the winner's number.
func (s *suite) race(commit func(racer int) error) int {
	s.Helper()
	var wg sync.WaitGroup
	var wins atomic.Int32
	winner := -1
	start := make(chan struct{})
	for racer := range racers {
		wg.Go(func() {
			<-start
			switch err := commit(racer); {
			case err == nil:
				if wins.Add(1) == 1 {
					winner = racer
				}
			case !errors.Is(err, store.ErrConflict):
				s.Errorf("racer %d: %v, want ErrConflict", racer, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := wins.Load(); n != 1 {
		s.Fatalf("%d of %d racers won", n, racers)
	}
	return winner
}

func raceToCreate(s *suite) {
	p := s.partition(store.Profiles)
	for round := range rounds {
		name := fmt.Sprintf("name %d", round)
		// The winner's own item comes with it, the losers' do not.
		p := place{p.table, fmt.Sprintf("%s#%d", p.partition, round)}
		s.empty(p)
		winner := s.race(func(racer int) error {
			return s.db.Commit(s.ctx, []store.Check{{Key: p.key(name)}},
				[]store.Write{p.put(name, strconv.Itoa(racer)), p.put(fmt.Sprintf("racer %d", racer), "")})
		})
		s.holds(p, p.put(name, strconv.Itoa(winner)), p.put(fmt.Sprintf("racer %d", winner), ""))
	}
}

func raceToChange(s *suite) {
	p := s.partition(store.Credentials)
	s.commit(nil, p.put("a", "first"))
	for range rounds {
		check := s.check(p.key("a"))
		winner := s.race(func(racer int) error {
			return s.db.Commit(s.ctx, []store.Check{check}, []store.Write{p.put("a", strconv.Itoa(racer))})
		})
		s.holds(p, p.put("a", strconv.Itoa(winner)))
	}
}

// transfers moves money between accounts, each time between two or three of
// them, while others look at all of them in a transaction that only checks. If
// ever a commit is applied by half, or passes on a read that is out of date,
// the sum changes.
func transfers(s *suite) {
	const (
		accounts = 10
		opening  = 100
		clerks   = 8
		each     = 25
	)
	p := s.partition(store.Profiles)
	var keys []store.Key
	for i := range accounts {
		w := p.put(fmt.Sprintf("account %d", i), strconv.Itoa(opening))
		keys = append(keys, w.Key)
		s.commit(nil, w)
	}
	read := func(keys []store.Key) (checks []store.Check, amounts []int, err error) {
		items, err := s.db.GetMany(s.ctx, keys)
		if err != nil {
			return nil, nil, err
		}
		for _, item := range items {
			amount, err := strconv.Atoi(string(item.Value))
			if err != nil {
				return nil, nil, err
			}
			checks = append(checks, store.Check{Key: item.Key, Rev: item.Rev})
			amounts = append(amounts, amount)
		}
		return checks, amounts, nil
	}
	// audit says whether a consistent look was had, and complains of the sum.
	audit := func() (seen bool, err error) {
		checks, amounts, err := read(keys)
		if err != nil {
			return false, err
		}
		if err := s.db.Commit(s.ctx, checks, nil); err != nil {
			return false, err
		}
		sum := 0
		for _, amount := range amounts {
			sum += amount
		}
		if sum != accounts*opening {
			return true, fmt.Errorf("the accounts hold %d, want %d: %v", sum, accounts*opening, amounts)
		}
		return true, nil
	}
	transfer := func(random *rand.Rand) error {
		parties := make([]store.Key, 0, 3)
		for _, i := range random.Perm(accounts)[:2+random.IntN(2)] {
			parties = append(parties, keys[i])
		}
		checks, amounts, err := read(parties)
		if err != nil {
			return err
		}
		var writes []store.Write
		for i, key := range parties {
			amount := amounts[i] + 1 // one each from the first
			if i == 0 {
				amount = amounts[0] - len(parties) + 1
			}
			writes = append(writes, store.Write{Item: store.Item{Key: key, Value: []byte(strconv.Itoa(amount))}})
		}
		return s.db.Commit(s.ctx, checks, writes)
	}

	var wg sync.WaitGroup
	for clerk := range clerks {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(clerk), 0))
			for done := 0; done < each; {
				switch err := transfer(random); {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					s.Errorf("clerk %d: %v", clerk, err)
					return
				}
				if _, err := audit(); err != nil && !errors.Is(err, store.ErrConflict) {
					s.Errorf("clerk %d: %v", clerk, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if seen, err := audit(); !seen || err != nil {
		s.Errorf("at the end: %v", err)
	}
}
