package embedded

import bolt "go.etcd.io/bbolt"

// bbolt maps the file into memory, and every page that was looked at counts as
// resident until the system wants it back. The pages are in the system's cache
// all the same, so they are given back after each touchLimit of pages looked
// at: looking at one again costs less than a microsecond, and the resident size stays within
// touchLimit and what bbolt itself allocates. It is counted rather than asked
// of the system or done on a timer, because a timer either comes too late for
// a fast walk or works for nothing when idle.
const (
	touchLimit = 64 << 20
	// lookupCost is what one lookup brings in beside its value: Linux maps the
	// 16 pages around the one that is missing, and those above it are mostly
	// there already.
	lookupCost = 64 << 10
)

// touch counts bytes of the mapped file that the transaction looked at. Being
// in a transaction is what keeps bbolt from moving the mapping meanwhile.
func (db *DB) touch(tx *bolt.Tx, bytes int) {
	if n := db.touched.Add(int64(bytes)); n >= touchLimit && db.touched.CompareAndSwap(n, 0) {
		release(db.bolt.Info(), tx.Size())
	}
}
