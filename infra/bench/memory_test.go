package bench_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// work is the time that this process has worked so far, on all cores: what the
// clock says less everything that it waited for, other programs included.
func work() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watch looks at the memory of this process twenty times a second until it is
// stopped, and then tells the most that it saw, in bytes: anonymous (heap,
// stacks) and resident, which is that and the mapped pages of files.
func watch() (stop func() (anonymous, resident int64)) {
	done, stopped := make(chan struct{}), make(chan struct{})
	var anonymous, resident int64
	look := func() {
		a, r := memory()
		anonymous, resident = max(anonymous, a), max(resident, r)
	}
	look()
	go func() {
		defer close(stopped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				look()
			}
		}
	}()
	return func() (int64, int64) {
		close(done)
		<-stopped
		look()
		return anonymous, resident
	}
}

// memory is what Linux says of this process; zeros on other systems.
func memory() (anonymous, resident int64) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "RssAnon":
			anonymous = kilobytes << 10
		case "VmRSS":
			resident = kilobytes << 10
		}
	}
	return anonymous, resident
}
