//go:build !unix

package embedded

import bolt "go.etcd.io/bbolt"

// Windows makes the file as large as its mapping, so it begins small.
const initialMmapSize = 0

// release has nothing to do: the system takes pages back as it needs them.
func release(*bolt.Info, int64) {}
