//go:build unix

package embedded

import (
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// initialMmapSize is address space, not memory: up to it, a growing file is
// never mapped anew, which would wait for all reads and hold up new ones.
const initialMmapSize = 1 << 30

// release gives the pages of the mapping back. It is shared and of a file, and
// bbolt writes to the file and not to the mapping, so nothing is lost and
// readers that run meanwhile see the same bytes. Advice may be ignored: so is
// its error.
func release(info *bolt.Info, size int64) {
	data := *(*unsafe.Pointer)(unsafe.Pointer(&info.Data))
	_ = unix.Madvise(unsafe.Slice((*byte)(data), size), unix.MADV_DONTNEED)
}
