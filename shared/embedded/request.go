package embedded

import "github.com/memberkey/memberkey/shared/store"

// newRequest checks a commit against the limits and makes it ready for the
// committer, on the caller's time.
func newRequest(checks []store.Check, writes []store.Write) (*request, error) {
	size, err := store.ValidateCommit(checks, writes)
	if err != nil {
		return nil, err
	}
	r := &request{
		checks: make([]check, len(checks)),
		writes: make([]write, len(writes)),
		size:   size,
		answer: make(chan error, 1),
	}
	for i := range checks {
		r.checks[i] = check{slot: slotOf(checks[i].Key), rev: checks[i].Rev}
	}
	for i := range writes {
		w := &writes[i]
		r.writes[i].slot = slotOf(w.Key)
		if !w.Delete {
			r.writes[i].value, r.writes[i].due = encode(w.Item), w.Due
		}
	}
	return r, nil
}
