package bench_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sort"
	"testing"
	"time"

	"github.com/memberkey/memberkey/functions/credentials"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// BenchmarkCredentialRead compares the processor time of a credential's GET by
// way of the whole local stack (net/http, gateway, token, httpapi, function,
// service) with that of a plain net/http handler that makes the same reads of
// the store and writes JSON of the same shape. The time includes that of the
// client, which sends the same bytes to both and looks at the status alone.
func BenchmarkCredentialRead(b *testing.B) {
	const members, requests, turns = 1_000, 4_000, 9
	for b.Loop() {
		s, remove := fresh(b, members)
		if err := mailed(s, members); err != nil {
			b.Fatal(err)
		}
		hasher := password.NewHasher(password.Fast, 1, rand.Reader)
		hash, err := hasher.Hash(context.Background(), password.NewPlain(secret))
		if err != nil {
			b.Fatal(err)
		}
		for n := range members {
			if err := withPassword(s, n, hash); err != nil {
				b.Fatal(err)
			}
		}
		whole, token := stack(b, newPortal(s, hasher).credentials)
		lean := httptest.NewServer(onlyReads(s))
		var ratios []float64
		var most, least time.Duration
		for turn := range turns + 1 {
			w, l := reads(b, whole, token, members, requests), reads(b, lean, token, members, requests)
			if turn == 0 {
				continue // warms up
			}
			ratios = append(ratios, float64(w)/float64(l))
			most, least = w/requests, l/requests
		}
		whole.Close()
		lean.Close()
		remove()
		limit(b, "credential GET over HTTP: CPU against a handler that only reads", median(ratios), 1.5, "x", atMost)
		tell(b, "credential GET over HTTP: CPU of each, client included (last turn); ratios", fmt.Sprintf("%v, %v; %s", most, least, list(ratios)))
	}
}

// mailed sends everybody a mailing, so that there is a last link to tell of.
func mailed(s *store.Store, members int) error {
	o, err := newOffice(s)
	if err != nil {
		return err
	}
	if err := o.mailEverybody(&ran{}, members); err != nil {
		return err
	}
	return o.close()
}

// stack serves the function as the local system does, and gives a token for it.
func stack(b *testing.B, service *credential.Service) (*httptest.Server, string) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		b.Fatal(err)
	}
	table, err := gateway.Read(template)
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	issuer, err := gateway.NewIssuer(b.TempDir(), "http://"+server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})) // as `make run` logs
	handler := (&credentials.Function{Credentials: service}).Routes().Handler(httpapi.Config{Log: log})
	functions := map[string]httpapi.Handler{}
	for _, f := range table.Functions {
		functions[f.Name] = handler // nobody calls the others
	}
	api, err := gateway.New(gateway.Config{Table: table, Functions: functions, Authorizer: issuer.Verifier(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	server.Config.Handler = gateway.OnlyLocal(api)
	server.Start()

	token, err := issuer.Token(org, "administrator")
	if err != nil {
		b.Fatal(err)
	}
	return server, token
}

// onlyReads is the handler to compare with: the same reads, and nothing of what
// makes a service of them.
func onlyReads(s *store.Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/profiles/{id}/credentials", func(w http.ResponseWriter, r *http.Request) {
		ctx, id := r.Context(), profile.ID(r.PathValue("id"))
		view, err := func() (*credential.View, error) {
			p, err := s.Profile(ctx, org, id)
			if err != nil {
				return nil, err
			}
			c, err := s.Credential(ctx, org, id)
			if err != nil {
				return nil, err
			}
			if _, err := s.LastSingle(ctx, org, id); err != nil {
				return nil, err
			}
			mailings, _, err := s.Mailings(ctx, org, "", 100)
			if err != nil {
				return nil, err
			}
			m, place := mailings[0], mailing.Place(p)
			stretch, err := s.StretchAt(ctx, org, m.ID, m.Generation, place)
			if err != nil {
				return nil, err
			}
			number := stretch.FirstBatch + sort.Search(len(stretch.Starts), func(i int) bool { return stretch.Starts[i] > place }) - 1
			batch, err := s.Batch(ctx, mailing.Batch{
				Organization: org, Mailing: m.ID, Generation: m.Generation, Lane: number % m.Freeze.Lanes, Index: number / m.Freeze.Lanes,
			})
			if err != nil {
				return nil, err
			}
			return &credential.View{
				Username: p.Username, PasswordSet: true, PasswordPlaceholder: password.Placeholder, Version: p.CredentialVersion,
				PasswordChangedAt: c.SetAt, PasswordChangedBy: string(c.SetBy), LoginStatus: profile.LoginActive,
				LastLink: &credential.LastLink{State: mailing.Sent, Address: p.Email, SentAt: batch.At, EndsAt: batch.Ends, Mailing: &m.ID},
			}, nil
		}()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(view)
	})
	return mux
}

// reads gets the credentials of one member after the other over one connection,
// and returns the processor time that it took.
func reads(b *testing.B, server *httptest.Server, token string, members, requests int) time.Duration {
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close()
	answers := bufio.NewReader(connection)
	begun := work()
	for i := range requests {
		_, err := fmt.Fprintf(connection, "GET /api/profiles/%s/credentials HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n\r\n",
			member(i%members, time.Time{}).ID, token)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(answer.Status, err)
		}
	}
	return work() - begun
}
