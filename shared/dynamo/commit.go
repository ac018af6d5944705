package dynamo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/shared/store"
)

// Commit is store.DB's, in one request. A transaction costs two write units a
// KB where a PutItem costs one, so what is written most, one item on the
// condition that it is still the one that was read, is a PutItem. Everything
// else is a transaction.
//
// An answer can be lost after the write was taken, and the client repeats the
// request. So every request can be repeated:
//
//   - A PutItem's condition fails at its repetition, and the error brings the
//     item that is there: if it has the revision that this call drew, the write
//     was taken. (Where somebody else has changed the item between the two, the
//     call is a conflict, and the transaction runs again on what is there.)
//   - A transaction carries a token, by which DynamoDB knows its repetition for
//     ten minutes. That is why a delete is one even by itself: nothing is left
//     whose revision could tell who deleted it. And so is a put of one item
//     without a check: its repetition would undo what somebody wrote between.
func (db *DB) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	if _, err := store.ValidateCommit(checks, writes); err != nil {
		return err
	}
	for _, c := range checks {
		if _, err := db.name(c.Table); err != nil {
			return err
		}
	}
	for _, w := range writes {
		if _, err := db.name(w.Table); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case len(checks)+len(writes) == 0:
		return nil
	case len(writes) == 1 && len(checks) == 1 && writes[0].Key == checks[0].Key && !writes[0].Delete:
		return db.put(ctx, checks[0], &writes[0].Item)
	}
	return db.transact(ctx, checks, writes)
}

// condition is that of a check.
func condition(c store.Check) (expression *string, values attributes) {
	if c.Rev == 0 {
		return aws.String("attribute_not_exists(p)"), nil
	}
	return aws.String("r = :r"), attributes{":r": revAttribute(c.Rev)}
}

func (db *DB) put(ctx context.Context, check store.Check, item *store.Item) error {
	rev := revision()
	in := &dynamodb.PutItemInput{
		TableName: aws.String(db.names[item.Table]), Item: encode(item, rev),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	in.ConditionExpression, in.ExpressionAttributeValues = condition(check)
	_, err := db.client.PutItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	var conflict *types.TransactionConflictException
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		if there, err := decodeNumber(failed.Item["r"]); err == nil && there == rev {
			return nil // taken before; only the answer was lost
		}
		return store.ErrConflict
	case errors.As(err, &conflict):
		// Somebody's transaction is on the item, which says nothing of whether
		// an earlier attempt of this call was taken.
		there, err := db.Get(ctx, item.Key)
		if err != nil {
			return err
		}
		if there != nil && there.Rev == rev {
			return nil
		}
		return store.ErrConflict
	}
	return fault(ctx, "PutItem", item.Table, err)
}

func (db *DB) transact(ctx context.Context, checks []store.Check, writes []store.Write) error {
	const op = "TransactWriteItems"
	in := &dynamodb.TransactWriteItemsInput{
		TransactItems: db.transaction(checks, writes),
		// One token for all tries of this commit, the client's and those below:
		// should one that seemed lost be taken after all, no other will be.
		ClientRequestToken: aws.String(rand.Text()),
	}
	for try := 1; ; try++ {
		_, err := db.client.TransactWriteItems(ctx, in)
		if err == nil {
			return nil
		}
		var cancelled *types.TransactionCanceledException
		if !errors.As(err, &cancelled) {
			return fault(ctx, op, tableOf(checks, writes), err)
		}
		switch why := reasonOf(cancelled); why {
		case reasonCondition, reasonConflict:
			return store.ErrConflict
		case reasonThrottled:
			if try == tries {
				return errThrottled.Because(fmt.Errorf("dynamo: %s on table %s: cancelled for throttling", op, tableOf(checks, writes)))
			}
			db.Sleep(ctx, backoff(try))
		default:
			return fault(ctx, op, tableOf(checks, writes), err)
		}
	}
}

// transaction has each item once: what is both checked and written is a write
// with a condition.
func (db *DB) transaction(checks []store.Check, writes []store.Write) []types.TransactWriteItem {
	checked := make(map[store.Key]store.Check, len(checks))
	for _, c := range checks {
		checked[c.Key] = c
	}
	all := make([]types.TransactWriteItem, 0, len(checks)+len(writes))
	for i := range writes {
		w := &writes[i]
		var expression *string
		var values attributes
		if c, both := checked[w.Key]; both {
			expression, values = condition(c)
			delete(checked, w.Key)
		}
		name := aws.String(db.names[w.Table])
		if w.Delete {
			all = append(all, types.TransactWriteItem{Delete: &types.Delete{
				TableName: name, Key: keyAttributes(w.Key), ConditionExpression: expression, ExpressionAttributeValues: values,
			}})
			continue
		}
		all = append(all, types.TransactWriteItem{Put: &types.Put{
			TableName: name, Item: encode(&w.Item, revision()), ConditionExpression: expression, ExpressionAttributeValues: values,
		}})
	}
	for _, c := range checks {
		if _, alone := checked[c.Key]; !alone {
			continue
		}
		expression, values := condition(c)
		all = append(all, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: aws.String(db.names[c.Table]), Key: keyAttributes(c.Key), ConditionExpression: expression, ExpressionAttributeValues: values,
		}})
	}
	return all
}

// tableOf names a table for the log.
func tableOf(checks []store.Check, writes []store.Write) store.Table {
	if len(writes) > 0 {
		return writes[0].Table
	}
	return checks[0].Table
}

// reason is why a transaction was cancelled, as far as it matters here.
type reason int

const (
	reasonOther reason = iota
	reasonThrottled
	reasonConflict  // another transaction was on one of the items
	reasonCondition // what was read has changed
)

// reasonOf finds the one reason that decides. Where a condition failed nothing
// else matters: the transaction runs again on what is there. Where something is
// wrong with the request itself, neither running again nor waiting helps.
func reasonOf(cancelled *types.TransactionCanceledException) reason {
	var condition, conflict, throttled, other bool
	for _, r := range cancelled.CancellationReasons {
		switch aws.ToString(r.Code) {
		case "None", "":
		case "ConditionalCheckFailed":
			condition = true
		case "TransactionConflict":
			conflict = true
		case "ThrottlingError", "ProvisionedThroughputExceeded":
			throttled = true
		default:
			other = true
		}
	}
	switch {
	case condition:
		return reasonCondition
	case other:
		return reasonOther
	case conflict:
		return reasonConflict
	case throttled:
		return reasonThrottled
	}
	return reasonOther
}
