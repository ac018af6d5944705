package profile

import (
	"cmp"
	"slices"
)

// Effects tells what a checked import would do to people's logins.
type Effects struct {
	// Addresses are those that change or appear. An old one that changes ends
	// the profile's links and sessions: those are LinksEnd.
	Addresses []AddressEffect `json:"addresses"`
	LinksEnd  []ID            `json:"linksEnd"`
	// Gain and Lose are who may sign in afterwards and could not before, and
	// the other way round, whether their own row changes or their member's.
	Gain []AccessEffect `json:"gain"`
	Lose []AccessEffect `json:"lose"`

	AddressesTotal int `json:"addressesTotal"`
	LinksEndTotal  int `json:"linksEndTotal"`
	GainTotal      int `json:"gainTotal"`
	LoseTotal      int `json:"loseTotal"`
}

// AddressEffect is one address that changes.
type AddressEffect struct {
	Profile ID     `json:"profile"`
	Old     string `json:"old"`
	New     string `json:"new"`
}

// AccessEffect is one profile whose right to sign in changes; Reason is that
// of the right afterwards (see [Right]).
type AccessEffect struct {
	Profile ID     `json:"profile"`
	Name    string `json:"name"`
	Reason  string `json:"reason"`
	Via     ID     `json:"via,omitempty"`
}

// AccessChange tells whether the right to sign in changes between two states
// of one profile; before is nil for a new one. Each state is judged with the
// targets of its own time.
func (a Access) AccessChange(before *Profile, then Targets, after *Profile, now Targets) (right Right, changed bool) {
	var had Right
	if before != nil {
		had = a.MayEnter(before, then)
	}
	right = a.MayEnter(after, now)
	return right, had.Allowed != right.Allowed
}

// Effects tells what writing the plan would do. related gives the stored
// profiles that state a relation to id: when a company lapses, its people lose
// their right though no row of theirs changes.
func (p *Plan) Effects(a Access, profiles func([]ID) (map[ID]*Profile, error), related func(ID) ([]*Profile, error)) (*Effects, error) {
	before, after, err := p.states(a, related)
	if err != nil {
		return nil, err
	}
	then, now, err := p.targets(before, after, profiles)
	if err != nil {
		return nil, err
	}
	e := &Effects{}
	for id, next := range after {
		old := before[id]
		if right, changed := a.AccessChange(old, then, next, now); changed {
			effect := AccessEffect{Profile: id, Name: next.Name(), Reason: right.Reason, Via: right.Via}
			if right.Allowed {
				e.Gain = append(e.Gain, effect)
			} else {
				e.Lose = append(e.Lose, effect)
			}
		}
		if next.Email == "" && old == nil || old != nil && old.Email == next.Email {
			continue
		}
		effect := AddressEffect{Profile: id, New: next.Email}
		if old != nil {
			effect.Old = old.Email
			e.LinksEnd = append(e.LinksEnd, id)
		}
		e.Addresses = append(e.Addresses, effect)
	}
	slices.SortFunc(e.Addresses, func(a, b AddressEffect) int { return cmp.Compare(a.Profile, b.Profile) })
	slices.Sort(e.LinksEnd)
	byProfile := func(a, b AccessEffect) int { return cmp.Compare(a.Profile, b.Profile) }
	slices.SortFunc(e.Gain, byProfile)
	slices.SortFunc(e.Lose, byProfile)
	e.AddressesTotal, e.LinksEndTotal, e.GainTotal, e.LoseTotal = len(e.Addresses), len(e.LinksEnd), len(e.Gain), len(e.Lose)
	e.Addresses, e.LinksEnd, e.Gain, e.Lose = listed(e.Addresses), listed(e.LinksEnd), listed(e.Gain), listed(e.Lose)
	return e, nil
}

// states are the profiles that the plan touches, and those related to one
// whose membership it begins or ends, before and after.
func (p *Plan) states(a Access, related func(ID) ([]*Profile, error)) (before, after map[ID]*Profile, err error) {
	before, after = map[ID]*Profile{}, map[ID]*Profile{}
	for _, step := range p.Steps {
		if step.Action == ActionUnchanged {
			continue
		}
		after[step.ID] = step.After
		if step.Before != nil {
			before[step.ID] = step.Before
		}
	}
	for _, step := range p.Steps {
		if step.Before == nil || a.IsMember(step.Before) == a.IsMember(step.After) {
			continue
		}
		stored, err := related(step.ID)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range stored {
			if after[r.ID] == nil {
				before[r.ID], after[r.ID] = r, r
			}
		}
	}
	return before, after, nil
}

// targets are the profiles that relations point to, as they are then and now.
func (p *Plan) targets(before, after map[ID]*Profile, profiles func([]ID) (map[ID]*Profile, error)) (then, now Targets, err error) {
	var ids []ID
	for _, states := range []map[ID]*Profile{before, after} {
		for _, s := range states {
			ids = append(ids, s.RelationTargets()...)
		}
	}
	slices.Sort(ids)
	stored, err := profiles(slices.Compact(ids))
	if err != nil {
		return nil, nil, err
	}
	then, now = Targets{}, Targets{}
	for id, s := range stored {
		then[id], now[id] = s, s
	}
	for id, s := range after {
		now[id] = s
		if before[id] != nil {
			then[id] = before[id]
		}
	}
	return then, now, nil
}
