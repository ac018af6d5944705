package system

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/memberkey/memberkey/infra/local/demo"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/reports"
	"github.com/memberkey/memberkey/infra/local/ses"
	"github.com/memberkey/memberkey/shared/store"
)

// sesPath is where the mail service answers as SES does; the SDK's endpoint.
const sesPath = "/local/ses"

// Around adds to the API what stands under /local, on a laptop and nowhere in
// AWS: tokens for staff, the mail service and its mailbox, the mailings as
// pages. It answers this machine only.
func Around(api http.Handler, issuer *gateway.Issuer, mails *mailbox.Service, s *store.Store, log *slog.Logger) http.Handler {
	shown := (&reports.Pages{Store: s, Organizations: []string{demo.Organization}, Now: time.Now, Log: log}).Handler()
	mux := http.NewServeMux()
	mux.Handle("/local/token", issuer.Handler())
	mux.Handle("/local/issuer/", issuer.Handler())
	mux.Handle("/local/mailbox", mails.Handler())
	mux.Handle("/local/mailbox/", mails.Handler())
	mux.Handle("/local/mailbox.json", mails.Handler())
	mux.Handle(sesPath+"/", http.StripPrefix(sesPath, ses.New(mails)))
	mux.Handle("/local/mailings", shown)
	mux.Handle("/local/mailings/", shown)
	return gateway.OnlyLocal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A ServeMux tidies paths and redirects; API Gateway does not.
		if strings.HasPrefix(r.URL.Path, "/local/") {
			mux.ServeHTTP(w, r)
		} else {
			api.ServeHTTP(w, r)
		}
	}))
}
