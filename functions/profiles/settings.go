package profiles

import (
	"context"

	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

func (f *Function) settings(ctx context.Context, c httpapi.Caller, _ struct{}) (httpapi.Reply[*directory.Settings], error) {
	return settled(f.Directory.Settings(ctx, c.Organization))
}

func settled(s *directory.Settings, err error) (httpapi.Reply[*directory.Settings], error) {
	if err != nil {
		return httpapi.Reply[*directory.Settings]{}, err
	}
	return httpapi.Reply[*directory.Settings]{Body: s, ETag: httpapi.ETag(s.Version)}, nil
}

// settling is an edit of the settings: what the body leaves out stays. With
// check nothing is changed, and the reply counts who would gain or lose the
// right to sign in; cursor is that reply's, where the walk was not done.
type settling struct {
	Version httpapi.Version   `header:"if-match"`
	Check   bool              `query:"check"`
	Cursor  httpapi.Cursor    `query:"cursor"`
	Body    organization.Edit `body:"json"`
}

// dryRun is what a change of the settings would do. Its numbers count one
// call; their sums are totals "so far" until there is no cursor.
type dryRun struct {
	Gain   int            `json:"gain"`
	Lose   int            `json:"lose"`
	Read   int            `json:"read"`
	Cursor httpapi.Cursor `json:"cursor,omitempty"`
}

func (f *Function) editSettings(ctx context.Context, c httpapi.Caller, in settling) (any, error) {
	if in.Check {
		run, err := f.Directory.CheckSettings(ctx, c.Organization, int(in.Version), in.Body, string(in.Cursor))
		return dryRun{Gain: run.Gain, Lose: run.Lose, Read: run.Read, Cursor: httpapi.Cursor(run.Cursor)}, err
	}
	if in.Cursor != "" {
		return nil, problem.New(problem.Invalid, "cursor_invalid", "cursor", "A cursor goes with check=true alone.")
	}
	return settled(f.Directory.EditSettings(ctx, by(c), c.Organization, int(in.Version), in.Body))
}
