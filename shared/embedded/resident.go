package embedded

import bolt "go.etcd.io/bbolt"

// bbolt maps the file into memory, and every page that was looked at counts as
// resident until the system wants it back. The pages are in the system's cache
// all the same, so commits give them back once touchLimit of them were looked
// at; looking at one again costs a few microseconds. Reads do not: a store
// that is only read may keep what it reads at hand, and the system takes it
// back at once when it needs memory.
//
// Looks are counted, rather than the system asked or a timer kept, because a
// timer comes too late for a busy store and works for nothing in an idle one.
const (
	touchLimit = 64 << 20
	// lookupCost is what one lookup brings in beside its value: Linux maps the
	// 16 pages around the one that is missing, and those above it in the tree
	// are mostly there already.
	lookupCost = 64 << 10
)

// touch counts bytes of the mapped file that were looked at.
func (db *DB) touch(bytes int) { db.touched.Add(int64(bytes)) }

// giveBack gives the mapped pages back when it is time to. The transaction is
// what keeps bbolt from moving the mapping meanwhile.
func (db *DB) giveBack(tx *bolt.Tx) {
	n := db.touched.Load()
	if n < touchLimit || !db.touched.CompareAndSwap(n, 0) {
		return
	}
	if size := tx.Size(); size > touchLimit { // a small file may be resident whole
		release(db.bolt.Info(), size)
	}
}
