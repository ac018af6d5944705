package dynamo

import (
	"cmp"
	"context"
	"hash/crc32"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/shared/store"
)

const dueIndex = "due"

// dueShards is in how many partitions the index of due items lies. Due times
// grow, so within a partition all writes come to its end, where DynamoDB cannot
// split it: each takes 1,000 write units a second, and an index that is
// throttled throttles its table. An entry is below 1 KB: putting one in or
// taking one out is a unit, moving one is two.
//
//	a single mail: put in, moved once, taken out       4 units
//	a lane: moved with each batch of up to 50 mails    2 units a batch
//
// At 1,000 single mails a second beside 1,000 mails a second in lanes, which is
// above what SES grants most accounts, that is 4,000 + 40 units a second; an
// import that changes addresses puts in two notices a row, 500 rows a second
// (see keys.go) are 1,000 units. 5,040 of 8,000: eight it is.
//
// The price is a query for each of them at every sweep: half a read unit, 480
// an hour. The number may grow; if it ever shrinks, what stands in the parts
// that are no longer asked must be written again.
const dueShards = 8

// shardOf spreads keys evenly, and for ever alike: the lanes of one mailing,
// which differ in one letter, stand in different parts.
func shardOf(key store.Key) int {
	return int(crc32.ChecksumIEEE([]byte(key.Partition+"\x00"+key.Sort)) % dueShards)
}

type dueEntry struct {
	key store.Key
	due int64
}

// Due is store.DB's. The index may lag and name items that are gone or no
// longer due: they are read, and those are dropped.
func (db *DB) Due(ctx context.Context, table store.Table, until int64, limit int) ([]store.Item, error) {
	if err := store.ValidateDue(table, until, limit); err != nil {
		return nil, err
	}
	name, err := db.name(table)
	if err != nil {
		return nil, err
	}
	var entries []dueEntry
	for shard := range dueShards {
		of, err := db.dueIn(ctx, table, name, shard, until, limit)
		if err != nil {
			return nil, err
		}
		entries = append(entries, of...)
	}
	slices.SortStableFunc(entries, func(a, b dueEntry) int { return cmp.Compare(a.due, b.due) })
	var items []store.Item
	seen := make(map[store.Key]bool, len(entries)) // while an entry moves, both its places may be seen
	for len(items) < limit && len(entries) > 0 {
		var keys []store.Key
		for len(entries) > 0 && len(items)+len(keys) < limit {
			if key := entries[0].key; !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
			entries = entries[1:]
		}
		found, err := db.GetMany(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, item := range found {
			if item != nil && item.Due != 0 && item.Due <= until {
				items = append(items, *item)
			}
		}
	}
	slices.SortStableFunc(items, func(a, b store.Item) int { return cmp.Compare(a.Due, b.Due) })
	return items, nil
}

// dueIn asks one part of the index for its earliest entries.
func (db *DB) dueIn(ctx context.Context, table store.Table, name string, shard int, until int64, limit int) (entries []dueEntry, err error) {
	in := &dynamodb.QueryInput{
		TableName: &name, IndexName: aws.String(dueIndex), ScanIndexForward: aws.Bool(true),
		KeyConditionExpression:   aws.String("#shard = :shard AND due <= :until"),
		ExpressionAttributeNames: map[string]string{"#shard": "shard"}, // a reserved word
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":shard": number(shard),
			":until": number(until),
		},
	}
	for {
		in.Limit = aws.Int32(int32(min(limit-len(entries), pageItems)))
		out, err := db.client.Query(ctx, in)
		if err != nil {
			return nil, fault(ctx, "Query", table, err)
		}
		for _, attributes := range out.Items {
			key, err := decodeKey(table, attributes)
			if err != nil {
				return nil, err
			}
			due, err := decodeNumber(attributes["due"])
			if err != nil || store.ValidateKey(key) != nil {
				return nil, errAnswer("Query", table)
			}
			entries = append(entries, dueEntry{key, int64(due)})
		}
		if len(entries) >= limit || len(out.LastEvaluatedKey) == 0 {
			return entries, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func number[T int | int64](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}
