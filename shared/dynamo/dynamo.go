// Package dynamo is [store.DB] on Amazon DynamoDB: the store of the system on
// AWS. Open it with [Open] on a client of [NewClient].
//
// # What lies in a table
//
// All tables have the same seven attributes, and the template declares those
// that are keys:
//
//	p        S  partition (hash key)
//	s        S  sort (range key)
//	v        B  value
//	r        N  revision: 63 random bits, never 0, another one at each write
//	expires  N  Unix seconds, absent for never; the table's time to live
//	due      N  Unix milliseconds, absent where the item is not due
//	shard    N  with due: in which part of the index the item stands, see Due
//
// # How it reads
//
// By GetItem, BatchGetItem and Query, strongly consistent, never by Scan. Only
// Due asks the index "due", which lags: it reads what the index names again.
//
// # How it writes
//
// A condition is always "the item still has the revision that was read", or "is
// still not there". So time to live needs no conditions of its own: an item
// that expired and was not removed yet, which AWS takes days for, is an item
// like every other. Whoever reads it sees in the record that its time is over
// (every record that ends carries its end in its value), decides by that, and
// commits on the revision that it saw; whether the table removes the item
// before, between or after can only make that condition fail, and then the
// transaction runs again. No decision ever rests on an item having vanished.
//
// What one commit costs, and how its repetition is kept from doing harm when an
// answer was lost, stands in commit.go; what is repeated when, in retry.go.
package dynamo

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/shared/store"
)

// Client is what a DB uses of *dynamodb.Client.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// DB is a store.DB; it may be used by any number of goroutines.
type DB struct {
	// Sleep waits before something is tried again, or until ctx ends; then it is
	// the next request that says so.
	Sleep func(ctx context.Context, d time.Duration)

	client Client
	names  map[store.Table]string
	tables map[string]store.Table // names read backwards
}

var _ store.DB = (*DB)(nil)

// Open makes a DB of the tables that the caller may use, by their names in
// AWS. Every other table is an error of the call that names it. Open itself
// asks nothing of AWS. It panics over two tables of one name, which is a fault
// of the deployment that would mix their items.
func Open(client Client, tables map[store.Table]string) *DB {
	db := &DB{Sleep: sleep, client: client, names: maps.Clone(tables), tables: make(map[string]store.Table, len(tables))}
	for table, name := range tables {
		if was, twice := db.tables[name]; twice {
			panic(fmt.Sprintf("dynamo: tables %s and %s have the same name %q", was, table, name))
		}
		db.tables[name] = table
	}
	return db
}

// name is the table's name in AWS.
func (db *DB) name(table store.Table) (string, error) {
	if name := db.names[table]; name != "" {
		return name, nil
	}
	return "", fmt.Errorf("dynamo: table %s is not among those that this function was given", table)
}

// Get is store.DB's: one GetItem.
func (db *DB) Get(ctx context.Context, key store.Key) (*store.Item, error) {
	if err := store.ValidateKey(key); err != nil {
		return nil, err
	}
	name, err := db.name(key.Table)
	if err != nil {
		return nil, err
	}
	out, err := db.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &name, Key: keyAttributes(key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fault(ctx, "GetItem", key.Table, err)
	}
	if len(out.Item) == 0 {
		return nil, nil
	}
	item, err := decode(key.Table, out.Item)
	if err == nil && item.Key != key {
		err = errAnswer("GetItem", key.Table)
	}
	if err != nil {
		return nil, err
	}
	return &item, nil
}

// maxBatch is how many keys BatchGetItem takes.
const maxBatch = 100

// GetMany is store.DB's: BatchGetItem in portions, a key that is asked for
// twice only once. It is no snapshot: what several items say together is made
// sure of by a commit that checks them.
func (db *DB) GetMany(ctx context.Context, keys []store.Key) ([]*store.Item, error) {
	places := make(map[store.Key][]int, len(keys))
	left := make([]store.Key, 0, len(keys)) // not answered yet
	for i, key := range keys {
		if err := store.ValidateKey(key); err != nil {
			return nil, err
		}
		if _, err := db.name(key.Table); err != nil {
			return nil, err
		}
		if places[key] == nil {
			left = append(left, key)
		}
		places[key] = append(places[key], i)
	}
	if err := ctx.Err(); err != nil {
		return nil, err // also where there is nothing to ask
	}
	items := make([]*store.Item, len(keys))
	for try := 0; len(left) > 0; {
		portion := left[:min(maxBatch, len(left))]
		found, unprocessed, err := db.batch(ctx, portion)
		if err != nil {
			return nil, err
		}
		for n := range found {
			for _, i := range places[found[n].Key] {
				item := found[n]
				items[i] = &item
			}
		}
		left = append(left[len(portion):], unprocessed...)
		if len(unprocessed) == 0 {
			continue
		}
		// DynamoDB leaves keys out when a table is throttled, and when an answer
		// would exceed 16 MB; as long as some are answered, it goes on.
		if len(unprocessed) < len(portion) {
			try = 0
		} else if try++; try == tries {
			return nil, errThrottled.Because(fmt.Errorf("dynamo: BatchGetItem on table %s: no key was processed", portion[0].Table))
		}
		db.Sleep(ctx, backoff(try))
	}
	return items, nil
}

// batch is one BatchGetItem.
func (db *DB) batch(ctx context.Context, keys []store.Key) (found []store.Item, unprocessed []store.Key, err error) {
	const op = "BatchGetItem"
	request := make(map[string]types.KeysAndAttributes, len(db.names))
	asked := make(map[store.Key]bool, len(keys))
	for _, key := range keys {
		part := request[db.names[key.Table]]
		part.ConsistentRead = aws.Bool(true)
		part.Keys = append(part.Keys, keyAttributes(key))
		request[db.names[key.Table]] = part
		asked[key] = true
	}
	out, err := db.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: request})
	if err != nil {
		return nil, nil, fault(ctx, op, keys[0].Table, err)
	}
	for name, answers := range out.Responses {
		for _, attributes := range answers {
			item, err := decode(db.tables[name], attributes)
			if err == nil && !asked[item.Key] {
				err = errAnswer(op, item.Table)
			}
			if err != nil {
				return nil, nil, err
			}
			found = append(found, item)
		}
	}
	for name, rest := range out.UnprocessedKeys {
		for _, attributes := range rest.Keys {
			key, err := decodeKey(db.tables[name], attributes)
			if err == nil && !asked[key] {
				err = errAnswer(op, key.Table)
			}
			if err != nil {
				return nil, nil, err
			}
			unprocessed = append(unprocessed, key)
		}
	}
	return found, unprocessed, nil
}

// pageItems is a driver's page, see store.Range. It also ends at 1 MB, where
// DynamoDB ends its own.
const pageItems = 1000

// Query is store.DB's. It reads one item more than it returns, so that "more"
// is the truth and not a guess, and where After is given that too (see span).
func (db *DB) Query(ctx context.Context, r store.Range) (items []store.Item, more bool, err error) {
	if err := store.ValidateRange(r); err != nil {
		return nil, false, err
	}
	name, err := db.name(r.Table)
	if err != nil {
		return nil, false, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	condition, values, none := span(r)
	if none {
		return nil, false, nil
	}
	want := r.Limit
	if want == 0 {
		want = pageItems
	}
	in := &dynamodb.QueryInput{
		TableName: &name, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!r.Backwards),
		KeyConditionExpression: &condition, ExpressionAttributeValues: values,
	}
	extra := 1
	if r.After != "" {
		extra = 2 // it may be read itself
	}
	for {
		in.Limit = aws.Int32(int32(min(want-len(items), pageItems) + extra))
		out, err := db.client.Query(ctx, in)
		if err != nil {
			return nil, false, fault(ctx, "Query", r.Table, err)
		}
		for _, attributes := range out.Items {
			item, err := decode(r.Table, attributes)
			if err == nil && item.Partition != r.Partition {
				err = errAnswer("Query", r.Table)
			}
			if err != nil {
				return nil, false, err
			}
			if item.Sort != r.After && strings.HasPrefix(item.Sort, r.Prefix) {
				items = append(items, item)
			}
		}
		if len(items) > want {
			return items[:want], true, nil
		}
		if len(out.LastEvaluatedKey) == 0 {
			return items, false, nil
		}
		if r.Limit == 0 && len(items) > 0 {
			want = len(items) // a page by its size; what is left is whether anything follows
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// span is the key condition of a range. Both ends of BETWEEN are within it, so
// After itself, and the first key above the prefix, may be read and are dropped.
// none says that After leaves nothing of the prefix.
func span(r store.Range) (condition string, values map[string]types.AttributeValue, none bool) {
	values = map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: r.Partition}}
	with := func(condition string, ends ...string) (string, map[string]types.AttributeValue, bool) {
		for i, end := range ends {
			values[":"+string(rune('a'+i))] = &types.AttributeValueMemberS{Value: end}
		}
		return "p = :p" + condition, values, false
	}
	inside := strings.HasPrefix(r.After, r.Prefix)
	above := r.After > r.Prefix // strings compare by bytes, as DynamoDB's do
	switch {
	case r.After == "" || !inside && above == r.Backwards: // all of the prefix
		if r.Prefix == "" {
			return with("")
		}
		return with(" AND begins_with(s, :a)", r.Prefix)
	case !inside:
		return "", nil, true
	case r.Backwards && r.Prefix == "":
		return with(" AND s < :a", r.After)
	case r.Backwards:
		return with(" AND s BETWEEN :a AND :b", r.Prefix, r.After)
	}
	if end := successor(r.Prefix); end != "" {
		return with(" AND s BETWEEN :a AND :b", r.After, end)
	}
	return with(" AND s > :a", r.After)
}

// successor is the least text above all that begin with prefix; "" where there
// is none.
func successor(prefix string) string {
	runes := []rune(prefix)
	for n := len(runes); n > 0; n-- {
		switch last := runes[n-1] + 1; {
		case last == 0xD800: // surrogates are no text
			return string(runes[:n-1]) + "\uE000"
		case last <= '\U0010FFFF':
			return string(runes[:n-1]) + string(last)
		}
	}
	return ""
}

// revision draws another revision. It need not be secret, only never come
// twice for one item: among a million writes of one item that has odds of 1 in
// 18 million.
func revision() uint64 {
	for {
		if rev := rand.Uint64() >> 1; rev != 0 {
			return rev
		}
	}
}
