package mailing_test
import ("context";"fmt";"testing";"github.com/memberkey/memberkey/shared/mailing")
func (w *world) dump(id string, p string) {
	m := w.mailing(id)
	lanes, _ := w.store.Lanes(context.Background(), org, id, m.Generation)
	for _, l := range lanes {
		bs, _, _ := w.store.Batches(context.Background(), org, id, m.Generation, l.Number, 0, 1000)
		for _, b := range bs { for i, e := range b.Entries { for _, r := range e.Recipients { if string(r.Profile) == p {
			fmt.Printf("lane %d batch %d state %q fence %d tries %d entry %d of %d: %+v\n", l.Number, b.Index, b.State, b.Fence, b.Tries, i, len(b.Entries), e)
			for _, s := range w.office.sent { if s.Tag == mailing.Tag(b, i) { fmt.Println("  sent", s.At, s.To, s.Profiles) } }
		}}}}
	}
}
var _ = testing.Short
