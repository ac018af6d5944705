package gateway

import "time"

// maxKept bounds what the issuer remembers of each kind.
const maxKept = 1000

// kept holds things under secret names, each until it ends. When it is full,
// what ends first makes room. Who holds the issuer's lock may use it.
type kept[V any] map[string]keptOne[V]

type keptOne[V any] struct {
	value V
	ends  time.Time
}

func (k kept[V]) put(name string, value V, now, ends time.Time) {
	for name, one := range k {
		if !now.Before(one.ends) {
			delete(k, name)
		}
	}
	if len(k) >= maxKept {
		first, soonest := "", time.Time{}
		for name, one := range k {
			if first == "" || one.ends.Before(soonest) {
				first, soonest = name, one.ends
			}
		}
		delete(k, first)
	}
	k[name] = keptOne[V]{value, ends}
}

func (k kept[V]) get(name string, now time.Time) (value V, ok bool) {
	one, ok := k[name]
	if !ok || !now.Before(one.ends) {
		return value, false
	}
	return one.value, true
}
