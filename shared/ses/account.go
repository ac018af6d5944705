package ses

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Account is [mailing.Accounts]: rate and daily quota, and whether the account
// may send at all. One in the sandbox may; its quota is small, and who may be
// mailed is told by each answer, so its Reason says "sandbox" and no more.
func (m *Mailer) Account(ctx context.Context) (mailing.Account, error) {
	out, err := m.Client.GetAccount(ctx, &sesv2.GetAccountInput{})
	if err != nil {
		return mailing.Account{}, fmt.Errorf("ses: account: %w", err)
	}
	if out.SendQuota == nil {
		return mailing.Account{}, errors.New("ses: account: the answer has no quota")
	}
	q := out.SendQuota
	a := mailing.Account{Rate: max(q.MaxSendRate, 0), DailyQuota: max(q.Max24HourSend, 0), SentLastDay: q.SentLast24Hours}
	enforcement := ""
	if out.EnforcementStatus != nil {
		enforcement = *out.EnforcementStatus
	}
	switch {
	case enforcement == "SHUTDOWN":
		a.Reason = suspended
	case !out.SendingEnabled:
		a.Reason = sendingPaused
	case q.MaxSendRate == 0 || q.Max24HourSend == 0: // to us 0 would be no limit, which SES writes as -1
		a.Reason = "no_quota"
	default:
		a.Enabled = true
		if !out.ProductionAccessEnabled {
			a.Reason = "sandbox"
		}
	}
	return a, nil
}

// Release takes an address off the account's suppression list. One that is not
// on it is no error. What it returns repeats no address.
func (m *Mailer) Release(ctx context.Context, address string) error {
	_, err := m.Client.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: &address})
	var missing *types.NotFoundException
	if err == nil || errors.As(err, &missing) {
		return nil
	}
	// The address is in the request's URL, and SES may repeat it in words.
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return errors.New("ses: address not released: " + refused.ErrorCode())
	}
	var lost *url.Error
	if errors.As(err, &lost) {
		return fmt.Errorf("ses: address not released: %w", lost.Err)
	}
	return errors.New("ses: address not released: no answer that can be understood")
}
