package credential_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/password"
)

// TestSecretsStayInside is attack A27 for the types of this package.
func TestSecretsStayInside(t *testing.T) {
	const canary = "c4n4ry-sekret-walnut-orbit"
	w := newWorld(t)
	w.add("1", "ana@example.com")
	token := w.mint("1")
	opened := w.opened(token)
	done, err := w.use(token, "", canary)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := w.service.Check(w.ctx, org, "1", true, password.NewPlain(canary))
	if err != nil || !verified.Match {
		t.Fatalf("%+v, %v", verified, err)
	}
	view, err := w.service.Read(w.ctx, org, "1")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := w.service.Access(w.ctx, org, "1")
	if err != nil {
		t.Fatal(err)
	}
	_, refusal := w.service.Change(w.ctx, desk, org, "1", 1, change("a b", canary))
	_, used := w.use(token, "", canary)
	own := w.service.ChangeOwn(w.ctx, org, "1", password.NewPlain(canary), password.NewPlain(canary), home)
	c := w.credential("1")
	phc := c.Hash.PHC()

	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for _, v := range []any{
		change("ana", canary), opened, done, verified, view, checks, c, *c, refusal, used, own, w.trail("1"), w.service, w.notices()[0],
	} {
		text := fmt.Sprintf("%v %+v %#v", v, v, v)
		if body, err := json.Marshal(v); err == nil {
			text += string(body)
		}
		log.Reset()
		logger.Info("value", "value", v)
		text += log.String()
		for what, secret := range map[string]string{
			"password": canary, "token": token, "secret of the token": token[22:], "hash": phc, "tag": phc[strings.LastIndexByte(phc, '$')+1:],
			"password in hex": hex.EncodeToString([]byte(canary)),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%T shows the %s", v, what)
			}
		}
	}
	if strings.Contains(w.log.String(), canary) || strings.Contains(w.log.String(), "ana@example.com") {
		t.Errorf("the log: %s", w.log)
	}
}
