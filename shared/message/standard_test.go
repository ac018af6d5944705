package message_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/message"
)

var allChanges = []message.Change{
	message.PasswordSet, message.PasswordChanged, message.UsernameChanged, message.EmailChanged,
	message.LoginDisabled, message.LoginEnabled, message.LoginRemoved,
}

func notice(changes ...message.Change) message.Notice {
	return message.Notice{Name: "Ana García", OrganizationName: "García & Sons", ProfileID: "1042", Username: "ana@example.com", Changes: changes, By: message.ByStaff, At: ends}
}

// standardMails is one of each.
func standardMails() map[string]message.Rendered {
	a := riverside()
	mails := map[string]message.Rendered{"forgot, several": message.ForgotLogin(a, []message.Login{ana(), ben()})}
	for _, why := range []message.Reason{message.StaffSent, message.Forgot, message.Renewed} {
		mails["reset, "+string(why)] = message.Reset(a, ana(), why)
		mails["reset without username, "+string(why)] = message.Reset(a, ben(), why)
	}
	for _, c := range allChanges {
		mails["notice, "+string(c)] = message.NoticeOf(a, notice(c))
	}
	old := notice(message.EmailChanged)
	old.ToOldAddress = true
	mails["notice, email_changed, old address"] = message.NoticeOf(a, old)
	mails["notice, two"] = message.NoticeOf(a, notice(message.UsernameChanged, message.PasswordChanged))
	return mails
}

// Text and HTML part of each standard mail say the same, word for word,
// addresses included.
func TestStandardMailsSayTheSameInBothParts(t *testing.T) {
	bare := message.Association{Name: "Riverside Association"}
	mails := standardMails()
	mails["reset, bare association"] = message.Reset(bare, ana(), message.Forgot)
	mails["forgot, bare association"] = message.ForgotLogin(bare, []message.Login{ana(), ben()})
	mails["notice, bare association"] = message.NoticeOf(bare, notice(message.PasswordSet))
	for name, r := range mails {
		if diff := cmp.Diff(words(r.Text), words(shown(t, r.HTML))); diff != "" {
			t.Errorf("%s: (-text +HTML):\n%s", name, diff)
		}
		checkMail(t, r)
		checkElements(t, r.HTML)
		if len(r.Subject) < 10 || len(r.Subject) > 80 || strings.Contains(r.Subject, "ana@") || strings.Contains(r.Subject, "http") {
			t.Errorf("%s: subject %q", name, r.Subject)
		}
		for _, line := range strings.Split(r.Text, "\n") {
			if len(line) > 80 && !strings.Contains(line, "https://") || line != strings.TrimRight(line, " ") {
				t.Errorf("%s: line %q", name, line)
			}
		}
	}
}

func contains(t *testing.T, name, text string, all ...string) {
	t.Helper()
	text = strings.Join(strings.Fields(text), " ")
	for _, s := range all {
		if !strings.Contains(text, s) {
			t.Errorf("%s does not say %q:\n%s", name, s, text)
		}
	}
}

func TestH11ResetMail(t *testing.T) {
	help := []string{"555 0100", "help@example.org", "Monday to Friday, 9 to 5"}
	for why, came := range map[message.Reason]string{
		message.StaffSent: "Our staff have sent you this mail",
		message.Forgot:    "asked on our sign-in page",
		message.Renewed:   "You asked for a new link",
	} {
		r := message.Reset(riverside(), ana(), why)
		contains(t, string(why), r.Text, append(help, came, "login of Ana García, García & Sons (profile 1042)", "Username: ana@example.com",
			linkA, "works until "+ends, "Opened later, it offers to send a new one", "nothing has changed", signIn)...)
		if got := addresses(t, r.HTML); !slices.Equal(got[:4], []string{logo, linkA, linkA, signIn}) {
			t.Errorf("%s: leads to %q", why, got)
		}
		if r.Subject != "Set your password for Riverside Association" {
			t.Errorf("subject %q", r.Subject)
		}
	}
	r := message.Reset(riverside(), ben(), message.Forgot)
	contains(t, "without username", r.Text, "Username: you choose one when you open the link")
	if diff := cmp.Diff(r, message.ForgotLogin(riverside(), []message.Login{ben()})); diff != "" {
		t.Errorf("forgot login for one differs from a reset: %s", diff)
	}
}

func TestH12ForgotLoginListsEachLogin(t *testing.T) {
	r := message.ForgotLogin(riverside(), []message.Login{ana(), ben()})
	contains(t, "mail", r.Text, "Ana García, García & Sons (profile 1042) Username: ana@example.com Set Password: "+linkA,
		"Ben García (profile 1043) Username: you choose one when you open the link Set Password: "+linkB, "nothing has changed", signIn, "555 0100")
	want := []string{logo, linkA, linkA, linkB, linkB, signIn, "tel:5550100", "mailto:help@example.org", site}
	if diff := cmp.Diff(want, addresses(t, r.HTML)); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestH5bNotices(t *testing.T) {
	says := map[message.Change]string{
		message.PasswordSet: "A password was set", message.PasswordChanged: "The password of this login was changed",
		message.UsernameChanged: "The username of this login was changed", message.EmailChanged: "changed to the one that this mail came to",
		message.LoginDisabled: "switched off", message.LoginEnabled: "switched on again", message.LoginRemoved: "This login was removed",
	}
	for _, c := range allChanges {
		r := message.NoticeOf(riverside(), notice(c))
		contains(t, string(c), r.Text, says[c], "by our staff, on "+ends, "Ana García, García & Sons (profile 1042)",
			"Your username is now: ana@example.com", "If it was not you", "555 0100", "help@example.org")
		allowed := []string{logo, signIn, "tel:5550100", "mailto:help@example.org", site}
		got := addresses(t, r.HTML)
		for _, a := range got {
			if !slices.Contains(allowed, a) {
				t.Errorf("%s: leads to %q", c, a)
			}
		}
		if mayEnter := c != message.LoginDisabled && c != message.LoginRemoved; slices.Contains(got, signIn) != mayEnter {
			t.Errorf("%s: leads to %q", c, got)
		}
	}
	old := notice(message.EmailChanged)
	old.ToOldAddress, old.Username, old.By = true, "", message.BySignIn
	r := message.NoticeOf(riverside(), old)
	contains(t, "old address", r.Text, "no longer the one that this mail came to", "signed in with this login")
	if strings.Contains(r.Text, "username is now") {
		t.Error("speaks of a username where there is none")
	}
	two := notice(message.UsernameChanged, message.PasswordChanged)
	two.By = message.ByLink
	r = message.NoticeOf(riverside(), two)
	contains(t, "two", r.Text, says[message.UsernameChanged], says[message.PasswordChanged], "with the link in one of our mails")
	if r.Subject != "Your login was changed: Riverside Association" {
		t.Errorf("subject %q", r.Subject)
	}
}

func TestA18HeaderSafe(t *testing.T) {
	for in, want := range map[string]string{"Riverside": "Riverside", " Ána & Söhne ": "Ána & Söhne", "": ""} {
		if got, err := message.HeaderSafe(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"a\r\nBcc: x@example.com", "a\n", "\ra", "a\x00b", "a\x7f", "a\u0085b", "a\u2028b", "a\xffb", "a\tb"} {
		if got, err := message.HeaderSafe(in); err == nil || got != "" || !slices.Equal(items(err), []string{" header_unsafe"}) {
			t.Errorf("%q passed as %q, %v", in, got, err)
		}
	}
}
