package directory

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

const (
	// beside is how many keys of a step are not the profile's: two lines of its
	// trail and two notices.
	beside = 4
	// spare is how many keys of a transaction are left over, for a row that was
	// edited by hand between planning and writing.
	spare = 10
	// writers is how many transactions of an import wait for the store at a
	// time: the embedded store makes one commit of all that wait.
	writers = 16
	// behind is how much later than the import its notices may go, so that
	// they never stand before a single mail (H5b). They are not rung: the sweep
	// finds them.
	behind = time.Minute
	// missingExtra is how long the walk for missing profiles may go on after
	// the budget is used up: a request on AWS ends after 30 seconds.
	missingExtra = 5 * time.Second
)

// Imported is the answer to an import.
type Imported struct {
	profile.Summary
	// UsernameStays are those whose email changes while the old one stays the
	// username, at most [profile.MaxListed].
	UsernameStays      []profile.ID `json:"usernameStays"`
	UsernameStaysTotal int          `json:"usernameStaysTotal"`
	// MissingSoFar: time ran out before everybody stored was looked at.
	MissingSoFar bool `json:"missingSoFar,omitempty"`
}

// Import holds a file against what is stored and writes the good rows, each
// whole and several to a transaction, until Budget is used up; then the answer
// is not complete, and importing the same file again goes on, because what is
// stored is unchanged. Wherever it stops, stopping and going on ends in the
// same profiles as one run. With check nothing is written, and the answer tells
// the effects.
//
// A problem is about the file as a whole (see [profile.ReadCSV]); faults of
// rows are in the answer.
func (s *Service) Import(ctx context.Context, by activity.Actor, org string, file []byte, check bool) (*Imported, error) {
	begun := s.Now()
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	f, err := profile.ReadCSV(file)
	if err != nil {
		return nil, err
	}
	i := &importing{
		Service: s, org: org, by: by, now: s.now(), until: begun.Add(s.budget()),
		random: &guarded{source: s.Rand},
	}
	plan, err := f.Plan(org, i.now, profile.Stored{
		Profiles:     func(ids []profile.ID) (map[profile.ID]*profile.Profile, error) { return s.profiles(ctx, org, ids) },
		MainContacts: func(ids []profile.ID) (map[profile.ID][]profile.ID, error) { return s.mainContacts(ctx, org, ids) },
	})
	if err != nil {
		return nil, err
	}
	i.answer = Imported{Summary: plan.Summary(), UsernameStays: []profile.ID{}}
	if check {
		err = i.check(ctx, plan, settings.Access)
	} else {
		err = i.write(ctx, plan)
	}
	if err != nil {
		return nil, err
	}
	if i.answer.Complete {
		err = i.missing(ctx, f)
	} else {
		i.answer.MissingSoFar = true
	}
	return &i.answer, err
}

// importing is one import under way.
type importing struct {
	*Service
	org    string
	by     activity.Actor
	now    time.Time
	until  time.Time
	random io.Reader

	mu     sync.Mutex // guards answer, done, failed
	answer Imported
	done   int // steps
	failed error
}

// check tells what writing the plan would do.
func (i *importing) check(ctx context.Context, plan *profile.Plan, access profile.Access) error {
	effects, err := plan.Effects(access,
		func(ids []profile.ID) (map[profile.ID]*profile.Profile, error) { return i.profiles(ctx, i.org, ids) },
		func(id profile.ID) ([]*profile.Profile, error) { return i.related(ctx, i.org, id) })
	if err != nil {
		return err
	}
	for _, step := range plan.Steps {
		i.count(step)
	}
	i.answer.Effects, i.answer.Complete = effects, true
	return nil
}

// count takes a step that is, or would be, written into the answer.
func (i *importing) count(step profile.Step) {
	i.answer.Wrote(step)
	if step.Before != nil && usernameStays(step.Before, step.Change) {
		i.answer.UsernameStaysTotal++
		if len(i.answer.UsernameStays) < profile.MaxListed {
			i.answer.UsernameStays = append(i.answer.UsernameStays, step.ID)
		}
	}
}

// write stores the steps that change anything. Groups are begun in the order
// of the plan, in which whoever a relation points to comes first.
func (i *importing) write(ctx context.Context, plan *profile.Plan) error {
	var steps []profile.Step
	for _, step := range plan.Steps {
		if step.Action != profile.ActionUnchanged {
			steps = append(steps, step)
		}
	}
	work := make(chan []profile.Step)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for group := range work {
				i.group(ctx, group, len(steps))
			}
		})
	}
	i.answer.Complete = true
	for group := range i.groups(steps) {
		if i.stopped(ctx) || i.Now().After(i.until) {
			i.answer.Complete = false
			break
		}
		work <- group
	}
	close(work)
	wg.Wait()
	if i.failed != nil {
		i.answer.Complete = false
	}
	if err := i.record(ctx); err != nil && i.failed == nil {
		return err
	}
	return i.failed
}

// groups yields runs of steps that fit into one transaction.
func (i *importing) groups(steps []profile.Step) func(yield func([]profile.Step) bool) {
	return func(yield func([]profile.Step) bool) {
		from, keys := 0, 0
		for at, step := range steps {
			n, most := i.Store.Touches(step.Before, step.After)
			n += beside
			if keys+n > most-spare && at > from {
				if !yield(steps[from:at]) {
					return
				}
				from, keys = at, 0
			}
			keys += n
		}
		if from < len(steps) {
			yield(steps[from:])
		}
	}
}

func (i *importing) stopped(ctx context.Context) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failed == nil {
		i.failed = ctx.Err()
	}
	return i.failed != nil
}

// group writes some steps in one transaction, on what is stored by then.
func (i *importing) group(ctx context.Context, steps []profile.Step, total int) {
	ids := make([]profile.ID, len(steps))
	for n, step := range steps {
		ids[n] = step.ID
	}
	var wrote []profile.Step
	var refused []profile.Issue
	err := i.Store.Update(ctx, func(tx Tx) error {
		wrote, refused = nil, nil
		if err := tx.PrefetchProfiles(i.org, ids); err != nil {
			return err
		}
		for _, planned := range steps {
			step, err := i.step(tx, planned)
			if p := problem.As(err); err != nil && p.Kind == problem.Invalid {
				// It was fine when planned: somebody has edited the profile since.
				refused = append(refused, profile.Issue{Row: planned.Row, Code: p.Code, Detail: p.Detail})
				continue
			}
			if err != nil {
				return err
			}
			wrote = append(wrote, step)
		}
		return nil
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		if i.failed == nil {
			i.failed = err
		}
		return
	}
	for _, step := range wrote {
		if step.Action == profile.ActionUnchanged {
			i.answer.Unchanged++ // somebody did the same by hand meanwhile
		}
		i.count(step)
	}
	i.answer.Refused += len(refused)
	i.answer.Errors = append(i.answer.Errors, refused...)
	i.answer.ErrorsTotal += len(refused)
	i.done += len(steps)
	if i.Progress != nil {
		i.Progress(i.done, total)
	}
}

// step makes one step on what the transaction sees, and puts it.
func (i *importing) step(tx Tx, planned profile.Step) (profile.Step, error) {
	current, err := tx.Profile(i.org, planned.ID)
	if err != nil && !absent(err) {
		return planned, err
	}
	step, err := planned.Again(i.org, current, i.now)
	if err != nil || step.Action == profile.ActionUnchanged {
		return step, err
	}
	p := step.After
	if step.Before == nil || step.Change.EmailChanged {
		if err := p.EndLogins(i.random, i.now); err != nil {
			return step, err
		}
	}
	for _, e := range i.trail(step) {
		e.Quiet = true
		tx.AddActivity(e)
	}
	if step.Before != nil && step.Change.EmailChanged {
		for _, b := range i.notices(step.Before, p, false, i.by, i.now) {
			b.Single.Behind = true
			tx.PutBatch(b, i.now.Add(behind))
		}
	}
	return step, tx.PutProfile(p)
}

func (i *importing) trail(step profile.Step) []activity.Entry {
	if step.Before == nil {
		return []activity.Entry{i.note(step.After, i.by, i.now, activity.ProfileCreated, map[string]string{"by": "import"})}
	}
	all := i.trace(step.Before, step.After, step.Change, i.by, i.now)
	for _, e := range all {
		e.Detail["by"] = "import"
	}
	return all
}

// record writes the one line of the day that sums the import up, also where
// the caller has gone meanwhile.
func (i *importing) record(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	a := &i.answer
	detail := map[string]string{
		"created": strconv.Itoa(a.Created), "updated": strconv.Itoa(a.Updated), "unchanged": strconv.Itoa(a.Unchanged),
		"refused": strconv.Itoa(a.Refused), "complete": strconv.FormatBool(a.Complete),
	}
	return i.Store.Update(ctx, func(tx Tx) error {
		tx.AddActivity(activity.Entry{Organization: i.org, ID: i.NewID(i.now), At: i.now, Actor: i.by, Kind: activity.ImportRun, Detail: detail})
		return nil
	})
}

// missing lists who is stored and not in the file.
func (i *importing) missing(ctx context.Context, f *profile.File) error {
	for cursor := ""; ; {
		ids, next, err := i.Store.ProfilesByName(ctx, i.org, cursor, walkPage)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !f.Has(id) {
				i.answer.Miss(id)
			}
		}
		if cursor = next; next == "" {
			return nil
		}
		if i.Now().After(i.until.Add(missingExtra)) {
			i.answer.MissingSoFar = true
			return nil
		}
	}
}

// guarded lets several goroutines draw from one source.
type guarded struct {
	mu     sync.Mutex
	source io.Reader
}

func (g *guarded) Read(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return io.ReadFull(g.source, b)
}
