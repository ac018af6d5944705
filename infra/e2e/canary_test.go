//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/infra/e2e/deployed"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/store"
)

// canaries are texts that nothing else has, each with the places that may hold
// it. It must be in each of those, as it is, and in no other place, in none of
// [spelt]'s forms.
type canaries struct {
	mark string
	all  []canary
}

type canary struct {
	name, text string
	in         []place
}

// place is where a canary may be found: a function's log, all messages that the
// functions sent, all dead letters, or a table.
type place string

const (
	messages    place = "messages"
	deadLetters place = "dead letters"
	profiles    place = "table profiles"
	passwords   place = "table credentials"
	pages       place = "table links"
	mailings    place = "table mailings"
	trail       place = "table activity"
)

func (c *canaries) plant(name, text string, in ...place) string {
	c.all = append(c.all, canary{name, text, in})
	return text
}

// TestCanaryOnWhatIsDeployed (A5): a member, the staff and the mail service have
// a day on which everything goes wrong that can, with canaries in all they type
// and send; then logs, messages and tables are searched.
func TestCanaryOnWhatIsDeployed(t *testing.T) {
	t.Parallel()
	s := deploy(t, "memberkey-canary", func(c *deployed.Config) { c.Visibility = 2 * time.Second }) // what fails is dead soon
	w := see(t, s.Address, nil)
	c := &canaries{mark: strings.ToLower(rand.Text()[:12])}

	var mu sync.Mutex
	var sent bytes.Buffer
	bells := 0
	s.Recorder.Intercept(func(kind permissions.Request, body []byte) *permissions.Fault {
		if strings.HasPrefix(kind.Operation, "SendMessage") {
			mu.Lock()
			defer mu.Unlock()
			sent.Write(body)
			sent.WriteByte('\n')
			bells++
		}
		return nil
	})

	c.poison(t, s)
	links := c.member(w)
	c.staff(w)
	c.mailing(w)
	c.outage(t, w, s)
	c.plant("staff's token", w.token())

	places := contents(t, s)
	for name := range s.Functions {
		log := s.Log(name)
		places[place("log of "+name)] = []byte(log)
		if !strings.Contains(log, `"level":"ERROR"`) && name != "console" {
			t.Errorf("nothing went wrong in %s: %s", name, log)
		}
	}
	mu.Lock()
	places[messages] = bytes.Clone(sent.Bytes())
	if bells < 10 {
		t.Errorf("%d messages were sent", bells)
	}
	mu.Unlock()
	places[deadLetters] = c.buried(t, w, s)
	c.search(t, places)

	// The hash of a link is on its page, and on the credential that it set last.
	for i, l := range links {
		sum := sha256.Sum256([]byte("memberkey link\x00" + string(l.purpose) + "\x00" + w.org + "\x00" + tokenOf(l.address)))
		if !bytes.Contains(places[pages], sum[:]) {
			t.Errorf("link %d is on no page: what else was searched for is in doubt", i)
		}
		noted := []byte(base64.StdEncoding.EncodeToString(sum[:]))
		if got := bytes.Contains(places[passwords], noted); got != l.last {
			t.Errorf("link %d is noted with a credential: %v, want %v", i, got, l.last)
		}
		for at, text := range places {
			if at != pages && bytes.Contains(text, sum[:]) || at != passwords && bytes.Contains(text, noted) || bytes.Contains(text, []byte(hex.EncodeToString(sum[:]))) {
				t.Errorf("the hash of link %d is in %s", i, at)
			}
		}
	}
	// Hashes of passwords are in the table that is for them.
	for at, text := range places {
		if got := bytes.Contains(text, []byte("argon2id")); got != (at == passwords) {
			t.Errorf("%s has hashes: %v", at, got)
		}
	}
}

// mailed is a link that came by mail.
type mailed struct {
	address string
	purpose link.Purpose
	last    bool // the one that set a password last
}

// member is a member's day: links of all states, passwords right and wrong.
func (c *canaries) member(w *world) []mailed {
	address := c.plant("address", "canary."+c.mark+"@example.com", profiles, mailings)
	username := c.plant("username", "songbird."+c.mark, profiles, trail, mailings)
	first := c.plant("first password", "canary first "+c.mark)
	second := c.plant("second password", "canary second "+c.mark)
	wrong := c.plant("wrong password", "canary wrong "+c.mark)
	astray := c.plant("password typed where the username goes", "canary astray "+c.mark)
	stranger := c.plant("stranger's address", "stranger."+c.mark+"@example.com")

	ana := w.person(doc{"email": address, "firstName": "Canaria", "lastName": "Songbird"})
	ana.change(doc{"username": username}).want(http.StatusOK)
	used, ended := ana.link(), ana.link()
	w.browser().open(used).press("Set password", fill{"password": first, "again": wrong}).shows("Nothing has been saved yet")
	w.browser().open(used).sets(first).shows("Your password is set")
	w.next(address)
	w.browser().open(used).hides("Set password")
	w.browser().open(ended).press("Send me a new link", nil)
	renewed := w.next(address).link()
	w.browser().open(strings.TrimSuffix(used, used[len(used)-3:]))
	w.browser().open(used + "/renew")
	forged := c.plant("forged link", tokenOf(used)[:22]+rand.Text()+rand.Text()[:17])
	w.browser().open(w.portal("/set-password/" + forged))

	b := w.browser().signIn(username, first)
	if !b.signedIn() {
		w.Fatalf("not signed in: %s", b.Text())
	}
	home, err := url.Parse(w.portal(""))
	if err != nil {
		w.Fatal(err)
	}
	for _, cookie := range b.client.Jar.Cookies(home) {
		c.plant("cookie "+cookie.Name, cookie.Value)
	}
	b.open("/password").press("Change password", fill{"current": wrong, "password": second, "again": second}).shows("The current password is not right")
	b.press("Change password", fill{"current": first, "password": second, "again": second}).shows("Your password is changed")
	w.next(address)
	for range 6 { // and then there is a wait
		w.browser().signIn(username, wrong)
	}
	w.browser().signIn(astray, second)
	w.browser().signIn(stranger, second)
	w.browser().signIn(address, second)
	// Ana has just had a mail that she asked for; Bea has had none.
	bea := w.person(doc{"email": c.plant("second address", "second."+c.mark+"@example.com", profiles, mailings)})
	for _, login := range []string{address, bea.Email, stranger, astray} {
		w.browser().open("/forgot-login").press("Send me a link", fill{"login": login}).shows("Please look into your mailbox")
	}
	forgotten := w.next(bea.Email).link()

	links := []mailed{{used, link.Reset, true}, {ended, link.Reset, false}, {renewed, link.Renewal, false}, {forgotten, link.Forgot, false}}
	for i, l := range links {
		c.plant(fmt.Sprint("link ", i), tokenOf(l.address))
		c.plant(fmt.Sprint("secret of link ", i), tokenOf(l.address)[22:])
	}
	return links
}

// staff is the staff's day: what they type, and what is refused.
func (c *canaries) staff(w *world) {
	old := c.plant("old address", "old."+c.mark+"@example.com", mailings) // where the notice of the change went
	moved := c.plant("new address", "new."+c.mark+"@example.com", profiles, mailings)
	typed := c.plant("typed password", "canary typed "+c.mark)
	short := c.plant("short password", strings.ToLower(rand.Text()[:12]))
	imported := c.plant("imported address", "imported."+c.mark+"@example.com", profiles)
	malformed := c.plant("malformed address", "malformed."+c.mark+"@@example.com")
	sought := c.plant("words of a search", "sought."+c.mark+"@example.com")

	p := w.person(doc{"email": old})
	p.change(doc{"username": "typed." + unique(), "password": typed}).want(http.StatusOK)
	p.change(doc{"password": short}).refused(http.StatusBadRequest, "password_too_short")
	p.edit(doc{"email": malformed}).want(http.StatusBadRequest)
	p.edit(doc{"email": moved}).want(http.StatusOK)
	w.next(old)
	w.next(moved)
	w.api("POST", "/api/passwords/check", doc{"password": typed, "profileId": p.ID}).want(http.StatusOK)
	w.api("POST", "/api/passwords/check", doc{"password": typed, typed: true}).want(http.StatusBadRequest)
	w.do("PUT", w.base+p.path("/credentials"), []byte(`{"password":"`+typed), "Authorization", "Bearer "+w.token(), "Content-Type", "application/json", "If-Match", `"1"`)
	w.do("PUT", w.base+p.path("/credentials"), []byte(typed), "Authorization", "Bearer "+w.token(), "Content-Type", "text/plain")
	w.api("POST", "/api/profile-imports", table("Profile ID,Profile Type,First Name,Last Name,Email,Membership Status\n"+
		"i"+unique()+",Individual,Ivo,Imported,"+imported+",Active\ni"+unique()+",Individual,Ivo,Malformed,"+malformed+",Active\n")).want(http.StatusOK)
	w.get("/api/profiles?search=" + escape(sought))
	w.api("GET", "/api/profiles?"+escape(sought)+"=1", nil)
	w.api("GET", "/api/nothing/"+url.PathEscape(sought), nil)
	w.do("GET", w.base+"/console/"+url.PathEscape(sought), nil)
}

// mailing is one that reaches three people, one of whom bounces.
func (c *canaries) mailing(w *world) {
	var people []person
	for _, address := range []string{"a." + c.mark + "@example.com", "b." + c.mark + "@example.com", "bounce+" + c.mark + "@simulator.example"} {
		people = append(people, w.person(doc{"email": c.plant("recipient", address, profiles, mailings)}))
	}
	m := w.credentialsFor(people...)
	m.send()
	m.done()
	for i, p := range people[:2] {
		token := tokenOf(w.nextOf(p.Email, m.ID).link())
		c.plant(fmt.Sprint("mailed link ", i), token)
		c.plant(fmt.Sprint("secret of mailed link ", i), token[22:])
	}
	bounced := people[2]
	w.until("the mark", func() bool { return bounced.profile().text("undeliverable.reason") == "bounced" })
	w.api("POST", bounced.path("/release-address"), nil).want(http.StatusOK)
}

// poison puts what no function can read on the queues: four bodies that are no
// bell, three of which are no mail event either.
func (c *canaries) poison(t *testing.T, s *deployed.System) {
	text := c.plant("text on a queue", "poison."+c.mark+"@example.com", deadLetters)
	event, err := json.Marshal(map[string]any{"eventType": text, "mail": map[string]any{"destination": []string{text}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, queue := range []string{"FanoutQueue", "SingleQueue", "BulkQueue", "EventsQueue"} {
		for _, body := range []string{text, string(event), string(event[:len(event)-2]), `{"v":1,"kind":"` + text + `","organization":"` + text + `"}`} {
			if err := s.Send(t.Context(), queue, body); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// buried waits until the poison is dead and gives all dead letters.
func (c *canaries) buried(t *testing.T, w *world, s *deployed.System) []byte {
	dead := map[string]bool{}
	for queue, want := range map[string]int{"FanoutDeadLetters": 4, "SingleDeadLetters": 4, "BulkDeadLetters": 4, "EventsDeadLetters": 3} {
		found := 0
		w.until("the poison to end in "+queue, func() bool {
			letters, err := s.DeadLetters(t.Context(), queue)
			if err != nil {
				t.Fatal(err)
			}
			for _, letter := range letters {
				if letter = queue + " " + letter; !dead[letter] {
					dead[letter] = true
					found++
				}
			}
			return found == want
		})
	}
	return []byte(strings.Join(slices.Sorted(maps.Keys(dead)), "\n"))
}

// outage is a day without database, queues or mail, one after the other. What
// is down says why, and repeats what it was sent.
func (c *canaries) outage(t *testing.T, w *world, s *deployed.System) {
	address := c.plant("address in an outage", "outage."+c.mark+"@example.com", profiles, mailings)
	secret := c.plant("password in an outage", "canary outage "+c.mark)
	unborn := c.plant("address of nobody", "unborn."+c.mark+"@example.com")
	p := w.person(doc{"email": address})
	p.change(doc{"username": "outage." + unique()}).want(http.StatusOK)
	page := p.link()
	c.plant("link in an outage", tokenOf(page))
	version, etag := p.credentials().etag(), p.profile().etag()

	breaks := func(broken func(permissions.Request) bool, fault string) (mend func()) {
		return s.Recorder.Intercept(func(kind permissions.Request, body []byte) *permissions.Fault {
			if !broken(kind) {
				return nil
			}
			return &permissions.Fault{Status: 400, Type: fault, Message: "refused: " + strings.Join(addresses.FindAllString(string(body), -1), ", ") + " in " + string(body)}
		})
	}
	database := func(kind permissions.Request) bool { return kind.Service == permissions.DynamoDB }
	writes := func(kind permissions.Request) bool {
		return kind.Operation == "TransactWriteItems" || kind.Operation == "PutItem"
	}
	behind := func(function string) func(permissions.Request) bool {
		return func(kind permissions.Request) bool { return database(kind) && kind.Function == function }
	}
	failure := func(function string) {
		t.Helper()
		w.until(function+" to fail", func() bool { return strings.Contains(s.Log(function), "ValidationException") })
	}

	for what, broken := range map[string]func(permissions.Request) bool{"without a database": database, "with one that takes nothing": writes} {
		mend := breaks(broken, "ValidationException")
		answers := []response{
			w.api("POST", "/api/profiles", doc{"type": "individual", "firstName": "Not", "lastName": "Born", "status": "active", "email": unborn}),
			w.api("PATCH", p.path(""), doc{"email": unborn}, "If-Match", etag),
			w.api("PUT", p.path("/credentials"), doc{"password": secret, "username": "unborn." + unique()}, "If-Match", version),
			w.api("POST", p.path("/reset-emails"), nil),
			w.api("POST", "/api/mailings", doc{"subject": "To " + unborn, "html": "<p>" + unborn + "</p>"}),
			w.do("POST", page, url.Values{"password": {secret}, "again": {secret}}, "Origin", w.base),
			w.do("POST", w.portal("/sign-in"), url.Values{"username": {address}, "password": {secret}}, "Origin", w.base),
			w.do("POST", w.portal("/forgot-login"), url.Values{"login": {address}}, "Origin", w.base),
		}
		mend()
		for _, r := range answers {
			if r.Status != http.StatusInternalServerError {
				t.Errorf("%s %s answered %d: %s", what, r.what, r.Status, clip(r.Body))
			}
			if bytes.Contains(r.Body, []byte("ValidationException")) || bytes.Contains(r.Body, []byte("refused: ")) {
				t.Errorf("%s %s tells what is the matter within: %s", what, r.what, clip(r.Body))
			}
		}
	}
	for _, function := range []string{"fanout", "delivery", "feedback"} {
		mend := breaks(behind(function), "ValidationException")
		p.reset().want(http.StatusAccepted)
		failure(function)
		mend()
		w.next(address)
	}

	rings := func(kind permissions.Request) bool { return strings.HasPrefix(kind.Operation, "SendMessage") }
	mend := breaks(rings, "AccessDeniedException")
	p.reset().want(http.StatusAccepted)
	mend()
	w.next(address) // the sweep has rung

	// SES names whom it refuses.
	mend = breaks(func(kind permissions.Request) bool { return kind.Operation == "SendEmail" }, "MessageRejected")
	p.reset().want(http.StatusAccepted)
	w.until("the mail to be refused", func() bool { return p.credentials().text("lastLink.state") == "failed" })
	mend()
}

var addresses = regexp.MustCompile(`[a-z0-9.+]+@[a-z.]+`)

// search looks for every canary in every place.
func (c *canaries) search(t *testing.T, places map[place][]byte) {
	folded := map[place][]byte{}
	for at, text := range places {
		folded[at] = bytes.ToLower(text)
	}
	for _, x := range c.all {
		for form, text := range spelt(x.text) {
			for _, at := range slices.Sorted(maps.Keys(places)) {
				found := bytes.Contains(places[at], text) || form == "plain" && bytes.Contains(folded[at], bytes.ToLower(text))
				switch own := form == "plain" && slices.Contains(x.in, at); {
				case own && !found:
					t.Errorf("the %s is not in %s, where it should be", x.name, at)
				case !own && found:
					t.Errorf("the %s is in %s (%s)", x.name, at, form)
				}
			}
		}
	}
}

// spelt adds to [spellings] those that are left when a text was hashed, or
// stands in the middle of something that was encoded as base64. Forms that look
// like the plain one are left out.
func spelt(s string) map[string][]byte {
	all := map[string][]byte{}
	for form, text := range spellings(s) {
		if form == "plain" || text != s {
			all[form] = []byte(text)
		}
	}
	for _, code := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			// The first and last letters hold bits of the neighbours, too.
			text := code.EncodeToString(append(make([]byte, before), s...))
			all[fmt.Sprintf("within base64, %d, %t", before, code == base64.RawURLEncoding)] = []byte(text[(8*before+5)/6 : len(text)-1])
		}
	}
	sum1, sum2, sum5, sumMD := sha1.Sum([]byte(s)), sha256.Sum256([]byte(s)), sha512.Sum512([]byte(s)), md5.Sum([]byte(s))
	for name, sum := range map[string][]byte{"SHA-1": sum1[:], "SHA-256": sum2[:], "SHA-512": sum5[:], "MD5": sumMD[:]} {
		all[name] = sum
		all[name+" in hex"] = []byte(hex.EncodeToString(sum))
		all[name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(sum))
		all[name+" in base64url"] = []byte(base64.RawURLEncoding.EncodeToString(sum))
	}
	return all
}

// TestSpelt holds the forms against what they must be found in.
func TestSpelt(t *testing.T) {
	const text = "canary.7f@example.com"
	for name, place := range map[string]string{
		"query": "login=canary.7f%40example.com&", "base64 from the start": base64.StdEncoding.EncodeToString([]byte(text + " and more")),
		"base64 after one": base64.StdEncoding.EncodeToString([]byte("x" + text + "y")), "base64 after two": base64.URLEncoding.EncodeToString([]byte("to" + text)),
		"base64 after four": base64.StdEncoding.EncodeToString([]byte("mail" + text + "??")), "hash": fmt.Sprintf("%x", sha256.Sum256([]byte(text))),
	} {
		found := false
		for _, form := range spelt(text) {
			found = found || strings.Contains(place, string(form))
		}
		if !found {
			t.Errorf("%s: not found in %q", name, place)
		}
	}
	for form, spelling := range spelt(text) {
		if len(spelling) < 16 {
			t.Errorf("%s is so short that it may stand anywhere: %q", form, spelling)
		}
	}
}

// contents reads all items of all tables past every function: all that an
// export or a backup would hold.
func contents(t *testing.T, s *deployed.System) map[place][]byte {
	t.Helper()
	db := dynamodb.New(dynamodb.Options{
		Region: template.Region, BaseEndpoint: aws.String(tools.DynamoDBLocal(t)), Credentials: credentials.NewStaticCredentialsProvider("AKIDLOCAL", "local", ""),
	})
	all := map[place][]byte{}
	for id, table := range s.Template.Tables {
		var text bytes.Buffer
		name := s.Stack() + strings.TrimPrefix(table.Name, template.StackName)
		pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				for _, name := range slices.Sorted(maps.Keys(item)) {
					switch v := item[name].(type) {
					case *types.AttributeValueMemberS:
						text.WriteString(v.Value)
					case *types.AttributeValueMemberB:
						text.Write(v.Value)
					case *types.AttributeValueMemberN:
						text.WriteString(v.Value)
					default:
						t.Fatalf("%s: attribute %s is a %T", id, name, v)
					}
					text.WriteByte('\n')
				}
			}
		}
		all[place("table "+strings.ToLower(strings.TrimSuffix(id, "Table")))] = text.Bytes()
	}
	if got := len(all); got != len(store.Tables) {
		t.Errorf("%d tables, want %d", got, len(store.Tables))
	}
	return all
}
