package profile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

// Action is what the import does with a row.
type Action string

const (
	ActionCreate    Action = "create"
	ActionUpdate    Action = "update"
	ActionUnchanged Action = "unchanged"
)

// Stored is what a plan asks of the store. Neither function may be nil.
type Stored struct {
	// Profiles gives those of the ids that exist, strongly consistent. The
	// values are not changed.
	Profiles func(ids []ID) (map[ID]*Profile, error)
	// MainContacts gives for each of the members who its main contacts are
	// (relations that are over left out); a member without any may be absent.
	MainContacts func(members []ID) (map[ID][]ID, error)
}

// Step is one good row held against what is stored.
type Step struct {
	Row    int // as a spreadsheet shows it
	ID     ID
	Action Action
	Before *Profile // nil when the profile is new; never changed
	// After is what to store. A new one has no Epoch yet; one whose
	// Change.EmailChanged is set needs a new one: see [Profile.EndLogins].
	After  *Profile
	Change Change

	row Row
}

// Again makes the step anew on what is stored now, for a writer who found that
// Before was no longer current. Relations are not checked again.
func (s Step) Again(organization string, current *Profile, now time.Time) (Step, error) {
	step, err := s.row.apply(organization, current, now)
	if err != nil {
		return Step{}, err
	}
	return step, nil
}

// Plan is what an import would do, decided before anything is written.
type Plan struct {
	// Steps are the good rows, in the order in which they can be written: one
	// that a relation points to before the one that states it, and whoever
	// gives up a main contact's place before whoever takes it. So what is
	// written is whole wherever the writing stops.
	Steps    []Step
	Errors   []Issue // by row; every fault of every refused row
	Warnings []Issue // by row
	Refused  int     // rows
}

// Plan holds the whole file against what is stored.
//
//   - A row is taken or refused whole. A relation may point to any good row or
//     to a stored profile; one to nobody is relation_unknown, one to a row that
//     is itself refused, and not stored, is relation_refused.
//   - An empty or malformed email never removes a stored one; a warning tells.
//   - The file owns one relation of each profile, marked Imported: the row's
//     relation replaces it, or an equal one or one to the same profile that
//     staff added; an empty cell ends it. Other relations stay.
//   - So planning over what a plan has written is unchanged throughout.
func (f *File) Plan(organization string, now time.Time, stored Stored) (*Plan, error) {
	known, err := stored.Profiles(f.asked())
	if err != nil {
		return nil, err
	}
	pl := planner{file: f, known: known, steps: make([]Step, len(f.Rows)), faults: make([][]Issue, len(f.Rows))}
	for i, row := range f.Rows {
		pl.faults[i] = slices.Clone(row.faults)
		if row.unreadable {
			continue
		}
		// A second row of one ID is held against nothing: its faults are its own.
		before := known[row.ID]
		step, err := row.apply(organization, before, now)
		if err != nil {
			pl.faults[i] = append(pl.faults[i], row.issues(err)...)
		}
		if row.Relation != nil && row.Relation.To.Valid() && row.Relation.To != row.ID && !f.Has(row.Relation.To) && known[row.Relation.To] == nil {
			pl.fault(i, ColumnRelatedTo, "relation_unknown", fmt.Sprintf("There is no profile %s, neither in the file nor stored. Please check the profile ID.", row.Relation.To))
		}
		pl.steps[i] = step
	}
	if err := pl.order(stored.MainContacts); err != nil {
		return nil, err
	}
	return pl.finish(), nil
}

// asked are the IDs that the store is asked about: those of the rows, and
// those that relations point to.
func (f *File) asked() []ID {
	ids := make([]ID, 0, len(f.ids))
	for id := range f.ids {
		ids = append(ids, id)
	}
	for _, row := range f.Rows {
		if row.Relation != nil && row.Relation.To.Valid() {
			ids = append(ids, row.Relation.To)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// apply makes the row's step on what is stored, nil for nothing.
func (r Row) apply(organization string, before *Profile, now time.Time) (Step, error) {
	after := &Profile{Organization: organization, ID: r.ID, CreatedAt: now}
	step := Step{Row: r.Number, ID: r.ID, Action: ActionCreate, Before: before, row: r}
	if before != nil {
		*after = *before
		step.Action = ActionUnchanged
	}
	fields := r.Fields
	if r.relationTold {
		relations := r.merged(after.Relations)
		fields.Relations, fields.imported = &relations, true
	}
	change, err := fields.Apply(after, now)
	if err != nil {
		return step, err
	}
	if before != nil && change.Any() {
		step.Action = ActionUpdate
	}
	step.After, step.Change = after, change
	return step, nil
}

// merged puts the row's relation among the stored ones.
func (r Row) merged(stored []Relation) []Relation {
	relations := slices.Clone(stored)
	own := slices.IndexFunc(relations, func(s Relation) bool { return s.Imported })
	if r.Relation == nil {
		if own >= 0 {
			relations = slices.Delete(relations, own, own+1)
		}
		return relations
	}
	told := *r.Relation
	at := slices.IndexFunc(relations, func(s Relation) bool { return s.To == told.To && SameKind(s.Kind, told.Kind) })
	if at < 0 {
		at = own
	}
	if at < 0 {
		at = slices.IndexFunc(relations, func(s Relation) bool { return s.To == told.To })
	}
	if at < 0 {
		return append(relations, told)
	}
	if relations[at].To == told.To {
		if !r.mainTold {
			told.MainContact = relations[at].MainContact
		}
		if !r.canEditTold {
			told.CanEdit = relations[at].CanEdit
		}
	}
	relations[at] = told
	if own >= 0 && own != at {
		relations = slices.Delete(relations, own, own+1)
	}
	return relations
}

// issues turns what Apply refused into faults of the row.
func (r Row) issues(err error) []Issue {
	p := problem.As(err)
	items := p.Problems
	if len(items) == 0 {
		items = []problem.Item{{Field: p.Field, Code: p.Code, Detail: p.Detail}}
	}
	var issues []Issue
	for _, item := range items {
		field := item.Field[strings.LastIndexByte(item.Field, '.')+1:]
		issues = append(issues, Issue{Row: r.Number, Column: columnOf[field], Code: item.Code, Detail: item.Detail})
	}
	return issues
}

// planner decides the rows of one file.
type planner struct {
	file   *File
	known  map[ID]*Profile
	steps  []Step    // by index of row
	faults [][]Issue // by index of row
	sorted []int     // indexes of good rows, in the order of writing
}

func (pl *planner) fault(i int, column, code, detail string) {
	pl.faults[i] = append(pl.faults[i], Issue{Row: pl.file.Rows[i].Number, Column: column, Code: code, Detail: detail})
}

func (pl *planner) good(i int) bool { return len(pl.faults[i]) == 0 }

// order decides what depends on other rows, going through them as they will be
// written.
func (pl *planner) order(mainContacts func([]ID) (map[ID][]ID, error)) error {
	places, err := pl.places(mainContacts)
	if err != nil {
		return err
	}
	seen := make([]bool, len(pl.steps))
	for _, giving := range []bool{true, false} {
		for i := range pl.steps {
			if giving && !pl.givesPlace(i) {
				continue
			}
			for _, at := range slices.Backward(pl.chain(i, seen)) {
				pl.decide(at, places)
			}
		}
	}
	// A circle of new rows can be cut after one of them was decided.
	for cut := true; cut; {
		cut = false
		for _, i := range pl.sorted {
			if pl.good(i) && pl.dangling(i) {
				cut = true
			}
		}
	}
	pl.sorted = slices.DeleteFunc(pl.sorted, func(i int) bool { return !pl.good(i) })
	return nil
}

// chain is the row i and then those that its relation leads to, as far as they
// were not yet seen.
func (pl *planner) chain(i int, seen []bool) []int {
	var chain []int
	for !seen[i] {
		seen[i] = true
		chain = append(chain, i)
		relation := pl.file.Rows[i].Relation
		if relation == nil {
			break
		}
		next, ok := pl.file.ids[relation.To]
		if !ok {
			break
		}
		i = next
	}
	return chain
}

func (pl *planner) decide(i int, places map[ID]map[ID]bool) {
	if !pl.good(i) || pl.dangling(i) {
		return
	}
	step := pl.steps[i]
	var before []ID
	if step.Before != nil {
		before = step.Before.mainContactOf()
	}
	after := step.After.mainContactOf()
	for _, member := range after {
		if !slices.Contains(before, member) && len(places[member]) >= MaxMainContacts {
			pl.fault(i, ColumnMainContact, "main_contacts_full", fmt.Sprintf("Profile %s has %d main contacts already.", member, MaxMainContacts))
			return
		}
	}
	for _, member := range before {
		delete(places[member], step.ID)
	}
	for _, member := range after {
		if places[member] == nil {
			places[member] = map[ID]bool{}
		}
		places[member][step.ID] = true
	}
	pl.sorted = append(pl.sorted, i)
}

// dangling refuses a row whose relation points to a row that is refused.
func (pl *planner) dangling(i int) bool {
	relation := pl.file.Rows[i].Relation
	if relation == nil || pl.known[relation.To] != nil {
		return false
	}
	target, ok := pl.file.ids[relation.To]
	if !ok || pl.good(target) {
		return false
	}
	pl.fault(i, ColumnRelatedTo, "relation_refused", fmt.Sprintf("The row points to profile %s, whose row %d is refused. Please correct that one first.", relation.To, pl.file.Rows[target].Number))
	return true
}

// mainContactOf are the members whose main contact p is.
func (p *Profile) mainContactOf() []ID {
	var members []ID
	for _, r := range p.Relations {
		if r.IsMainContact() && !slices.Contains(members, r.To) {
			members = append(members, r.To)
		}
	}
	return members
}

func (pl *planner) givesPlace(i int) bool {
	step := pl.steps[i]
	if !pl.good(i) || step.Before == nil {
		return false
	}
	after := step.After.mainContactOf()
	return slices.ContainsFunc(step.Before.mainContactOf(), func(id ID) bool { return !slices.Contains(after, id) })
}

// places are the main contacts of each member to whom a row adds one.
func (pl *planner) places(mainContacts func([]ID) (map[ID][]ID, error)) (map[ID]map[ID]bool, error) {
	var members []ID
	for i, step := range pl.steps {
		if pl.good(i) && step.Change.Has("relations") {
			members = append(members, step.After.mainContactOf()...)
		}
	}
	slices.Sort(members)
	members = slices.Compact(members)
	places := make(map[ID]map[ID]bool, len(members))
	if len(members) == 0 {
		return places, nil
	}
	held, err := mainContacts(members)
	if err != nil {
		return nil, err
	}
	for member, ids := range held {
		places[member] = map[ID]bool{}
		for _, id := range ids {
			places[member][id] = true
		}
	}
	return places, nil
}

func (pl *planner) finish() *Plan {
	plan := &Plan{Steps: make([]Step, 0, len(pl.sorted))}
	for _, i := range pl.sorted {
		plan.Steps = append(plan.Steps, pl.steps[i])
	}
	for i := range pl.steps {
		if !pl.good(i) {
			plan.Refused++
			plan.Errors = append(plan.Errors, pl.faults[i]...)
			continue
		}
		plan.Warnings = append(plan.Warnings, pl.steps[i].warnings()...)
	}
	return plan
}

// warnings are what staff should know of a row that is taken.
func (s Step) warnings() []Issue {
	var warnings []Issue
	warn := func(column, code, detail string) {
		warnings = append(warnings, Issue{Row: s.Row, Column: column, Code: code, Detail: detail})
	}
	keeps := s.Before != nil && s.Before.Email != ""
	switch {
	case s.row.emailBad != "" && keeps:
		warn(ColumnEmail, "email_malformed", s.row.emailBad+" The stored address stays.")
	case s.row.emailBad != "":
		warn(ColumnEmail, "email_malformed", s.row.emailBad+" The profile is taken without an email.")
	case s.row.emailEmpty && keeps:
		warn(ColumnEmail, "email_kept", "The cell is empty. The stored address stays; to remove it, edit the profile.")
	}
	if s.Change.EmailChanged && s.Before != nil && s.Before.Username != "" && s.Before.Username == s.Before.Mailbox {
		warn(ColumnEmail, "username_kept", "The address changes, but the old one stays the username. To change it, edit the profile's credentials.")
	}
	if s.row.Relation != nil && s.Before != nil && !s.row.Relation.Former() &&
		slices.ContainsFunc(s.Before.Relations, func(r Relation) bool { return r.To == s.row.Relation.To && r.Former() }) &&
		!slices.ContainsFunc(s.Before.Relations, func(r Relation) bool { return r.To == s.row.Relation.To && !r.Former() }) {
		warn(ColumnRelationship, "relation_reopened", fmt.Sprintf("The stored relation to profile %s is over; the file opens it again. If that is wrong, correct the file.", s.row.Relation.To))
	}
	return warnings
}

// MaxListed bounds each list of a summary, so that an answer fits into one
// response whatever the file holds. The counts are always whole.
const MaxListed = 5_000

// Summary is the answer to an import.
type Summary struct {
	Complete  bool `json:"complete"` // false: post the same file again to go on
	Created   int  `json:"created"`
	Updated   int  `json:"updated"`
	Accepted  int  `json:"accepted"` // created and updated
	Unchanged int  `json:"unchanged"`
	Refused   int  `json:"refused"`

	Missing       []ID    `json:"missing"` // stored, not in the file; untouched
	MissingTotal  int     `json:"missingTotal"`
	Errors        []Issue `json:"errors"`
	ErrorsTotal   int     `json:"errorsTotal"`
	Warnings      []Issue `json:"warnings"`
	WarningsTotal int     `json:"warningsTotal"`

	Effects *Effects `json:"effects,omitempty"` // of a check
}

// Summary begins the answer: nothing written, nothing missing yet. What is
// unchanged is counted already.
func (p *Plan) Summary() Summary {
	s := Summary{Refused: p.Refused, Missing: []ID{}, Errors: listed(p.Errors), ErrorsTotal: len(p.Errors), Warnings: listed(p.Warnings), WarningsTotal: len(p.Warnings)}
	for _, step := range p.Steps {
		if step.Action == ActionUnchanged {
			s.Unchanged++
		}
	}
	return s
}

// Wrote counts a step that was written; an unchanged one is counted already.
func (s *Summary) Wrote(step Step) {
	switch step.Action {
	case ActionCreate:
		s.Created++
		s.Accepted++
	case ActionUpdate:
		s.Updated++
		s.Accepted++
	}
}

// Miss notes a stored profile that is not in the file.
func (s *Summary) Miss(id ID) {
	s.MissingTotal++
	if len(s.Missing) < MaxListed {
		s.Missing = append(s.Missing, id)
	}
}

// listed is never nil, so that JSON has a list.
func listed[T any](all []T) []T {
	if len(all) == 0 {
		return []T{}
	}
	return all[:min(len(all), MaxListed)]
}
