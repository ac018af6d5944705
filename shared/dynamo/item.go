package dynamo

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/shared/store"
)

type attributes = map[string]types.AttributeValue

func keyAttributes(key store.Key) attributes {
	return attributes{
		"p": &types.AttributeValueMemberS{Value: key.Partition},
		"s": &types.AttributeValueMemberS{Value: key.Sort},
	}
}

func encode(item *store.Item, rev uint64) attributes {
	a := keyAttributes(item.Key)
	a["r"] = revAttribute(rev)
	value := item.Value
	if value == nil {
		value = []byte{} // nil would be no attribute at all
	}
	a["v"] = &types.AttributeValueMemberB{Value: value}
	if item.Expires != 0 {
		a["expires"] = number(item.Expires)
	}
	if item.Due != 0 {
		a["due"], a["shard"] = number(item.Due), number(shardOf(item.Key))
	}
	return a
}

func revAttribute(rev uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(rev, 10)}
}

var errAttribute = errors.New("dynamo: an attribute of another kind")

// decode reads an item of a table; what is no item of ours is an error.
func decode(table store.Table, a attributes) (store.Item, error) {
	item := store.Item{}
	var err error
	if item.Key, err = decodeKey(table, a); err != nil {
		return item, err
	}
	value, isBytes := a["v"].(*types.AttributeValueMemberB)
	rev, revErr := decodeNumber(a["r"])
	expires, expiresErr := decodeNumber(a["expires"])
	due, dueErr := decodeNumber(a["due"])
	if !isBytes || rev == 0 || errors.Join(revErr, expiresErr, dueErr) != nil {
		return store.Item{}, fmt.Errorf("dynamo: an item of table %s that is none of ours", table)
	}
	item.Value, item.Rev, item.Expires, item.Due = value.Value, rev, int64(expires), int64(due)
	return item, nil
}

func decodeKey(table store.Table, a attributes) (store.Key, error) {
	p, isText := a["p"].(*types.AttributeValueMemberS)
	s, isTextToo := a["s"].(*types.AttributeValueMemberS)
	if !isText || !isTextToo {
		return store.Key{}, fmt.Errorf("dynamo: an item of table %s that is none of ours", table)
	}
	return store.Key{Table: table, Partition: p.Value, Sort: s.Value}, nil
}

// decodeNumber reads a number; one that is absent is 0.
func decodeNumber(a types.AttributeValue) (uint64, error) {
	if a == nil {
		return 0, nil
	}
	n, isNumber := a.(*types.AttributeValueMemberN)
	if !isNumber {
		return 0, errAttribute
	}
	return strconv.ParseUint(n.Value, 10, 63)
}
