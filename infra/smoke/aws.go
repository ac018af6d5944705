package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// cli runs one command of the AWS CLI, such as "sesv2 get-account", with input
// as its parameters, and decodes what it prints into out. Either may be nil.
type cli func(ctx context.Context, command string, input map[string]any, out any) error

// commandLine is the AWS CLI that is installed. Parameters go by standard
// input, for a list of processes shows arguments to everybody on the machine.
func commandLine(ctx context.Context, command string, input map[string]any, out any) error {
	args := append(strings.Fields(command), "--output", "json", "--no-cli-pager")
	c := exec.CommandContext(ctx, "aws", args...)
	if input != nil {
		text, err := json.Marshal(input)
		if err != nil {
			return err
		}
		c.Args = append(c.Args, "--cli-input-json", "file:///dev/stdin")
		c.Stdin = bytes.NewReader(text)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("aws %s: %w %s", command, err, strings.TrimSpace(stderr.String()))
	}
	if out == nil || stdout.Len() == 0 {
		return nil
	}
	return json.Unmarshal(stdout.Bytes(), out)
}

// stack is a deployment.
type stack struct {
	name    string
	cli     cli
	outputs map[string]string
}

// Outputs of template.yaml that the smoke test reads.
const (
	apiAddress     = "ApiAddress"
	senderIdentity = "SenderIdentity"
	userPool       = "UserPoolId" // where the pool is the stack's own
	userClient     = "UserPoolClientId"
)

// complete fills in what the flags did not say.
func (s *stack) complete(ctx context.Context, c *config) error {
	var described struct {
		Stacks []struct {
			Outputs []struct{ OutputKey, OutputValue string }
		}
	}
	if err := s.cli(ctx, "cloudformation describe-stacks", map[string]any{"StackName": s.name}, &described); err != nil {
		return err
	}
	if len(described.Stacks) != 1 {
		return fmt.Errorf("there is no stack %s here", s.name)
	}
	s.outputs = map[string]string{}
	for _, o := range described.Stacks[0].Outputs {
		s.outputs[o.OutputKey] = o.OutputValue
	}
	if c.api == "" {
		c.api = s.outputs[apiAddress]
	}
	if domain := s.outputs[senderIdentity]; c.sender == "" && domain != "" {
		c.sender = organization + "@" + domain
	}
	return nil
}

// administrator makes a user of the stack's pool, puts it into the group
// smoke:administrator and signs it in. leave removes it again; it is to be
// called whatever the error is.
func (s *stack) administrator(ctx context.Context, c *config) (leave func() error, err error) {
	leave = func() error { return nil }
	pool, client := s.outputs[userPool], s.outputs[userClient]
	if pool == "" || client == "" {
		return leave, errors.New("the stack has no user pool of its own: get a token of smoke:administrator from your issuer and pass it as MEMBERKEY_TOKEN")
	}
	const group = organization + ":administrator"
	err = s.cli(ctx, "cognito-idp create-group", map[string]any{"UserPoolId": pool, "GroupName": group, "Description": "The smoke test, while it runs"}, nil)
	if err != nil && !strings.Contains(err.Error(), "GroupExistsException") {
		return leave, err
	}
	// An address as name does for pools with either kind of user names.
	user := fmt.Sprintf("success+staff-%d@simulator.amazonses.com", time.Now().UnixMilli())
	password := rand.Text() + "-aA1" // whatever the pool's rule, it has one of each
	named := func(more map[string]any) map[string]any {
		in := map[string]any{"UserPoolId": pool, "Username": user}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	leave = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err := s.cli(ctx, "cognito-idp admin-delete-user", named(nil), nil)
		if err != nil && !strings.Contains(err.Error(), "UserNotFoundException") {
			return fmt.Errorf("the user %s could not be removed, please do: %w", user, err)
		}
		return nil
	}
	attributes := []map[string]string{{"Name": "email", "Value": user}, {"Name": "email_verified", "Value": "true"}}
	for _, step := range []struct {
		command string
		input   map[string]any
	}{
		{"cognito-idp admin-create-user", named(map[string]any{"MessageAction": "SUPPRESS", "UserAttributes": attributes})},
		{"cognito-idp admin-set-user-password", named(map[string]any{"Password": password, "Permanent": true})},
		{"cognito-idp admin-add-user-to-group", named(map[string]any{"GroupName": group})},
	} {
		if err := s.cli(ctx, step.command, step.input, nil); err != nil {
			return leave, err
		}
	}
	if c.token, err = s.signIn(ctx, pool, client, user, password); err == nil && c.token == "" {
		err = errors.New("the pool gave no access token")
	}
	return leave, err
}

// challenge is what Cognito answers to each step of a sign-in.
type challenge struct {
	ChallengeName        string
	ChallengeParameters  map[string]string
	Session              string
	AuthenticationResult struct{ AccessToken string }
}

// signIn gets the token of a new user, who sets up a second factor on the way
// where the pool wants one.
func (s *stack) signIn(ctx context.Context, pool, client, user, password string) (token string, err error) {
	var in challenge
	err = s.cli(ctx, "cognito-idp admin-initiate-auth", map[string]any{
		"UserPoolId": pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
		"AuthParameters": map[string]string{"USERNAME": user, "PASSWORD": password},
	}, &in)
	if err != nil || in.ChallengeName == "" {
		return in.AuthenticationResult.AccessToken, err
	}
	if in.ChallengeName != "MFA_SETUP" {
		return "", fmt.Errorf("the pool asks for %s: get a token of %s:administrator by hand and pass it as MEMBERKEY_TOKEN", in.ChallengeName, organization)
	}
	var factor struct{ SecretCode, Session string }
	if err := s.cli(ctx, "cognito-idp associate-software-token", map[string]any{"Session": in.Session}, &factor); err != nil {
		return "", err
	}
	code, err := oneTime(factor.SecretCode, time.Now())
	if err != nil {
		return "", err
	}
	var verified struct{ Session, Status string }
	if err := s.cli(ctx, "cognito-idp verify-software-token", map[string]any{"Session": factor.Session, "UserCode": code}, &verified); err != nil {
		return "", err
	}
	var out challenge
	err = s.cli(ctx, "cognito-idp admin-respond-to-auth-challenge", map[string]any{
		"UserPoolId": pool, "ClientId": client, "ChallengeName": in.ChallengeName, "Session": verified.Session,
		"ChallengeResponses": map[string]string{"USERNAME": cmp.Or(in.ChallengeParameters["USER_ID_FOR_SRP"], user)},
	}, &out)
	return out.AuthenticationResult.AccessToken, err
}

// oneTime is the code of an authenticator (RFC 6238 with SHA-1, 30 s and six digits).
func oneTime(secret string, now time.Time) (string, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(secret), "="))
	if err != nil {
		return "", errors.New("the secret of the second factor is not in base 32")
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, now.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000), nil
}

// account shows what SES grants.
func (s *stack) account(ctx context.Context) (string, error) {
	var a struct {
		ProductionAccessEnabled, SendingEnabled bool
		EnforcementStatus                       string
		SendQuota                               struct{ Max24HourSend, MaxSendRate, SentLast24Hours float64 }
	}
	if err := s.cli(ctx, "sesv2 get-account", nil, &a); err != nil {
		return "", err
	}
	said := fmt.Sprintf("%.0f mails a second, %.0f of %.0f sent in 24 h, %s",
		a.SendQuota.MaxSendRate, a.SendQuota.SentLast24Hours, a.SendQuota.Max24HourSend, strings.ToLower(a.EnforcementStatus))
	if !a.ProductionAccessEnabled {
		said += ", in the sandbox"
	}
	if !a.SendingEnabled {
		return "", fmt.Errorf("sending is switched off: %s", said)
	}
	return said, nil
}
