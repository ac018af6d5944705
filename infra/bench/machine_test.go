package bench_test

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// work is the time that this process has worked so far, on all cores: what the
// clock says less everything that it waited for, other programs included.
func work() time.Duration {
	return usage(syscall.RUSAGE_SELF)
}

func usage(whose int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(whose, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// otherPrograms begins to look what else the machine works on; the function
// that it returns tells the share of the cores that this took since. Only Linux
// tells.
func otherPrograms() (share func() (share float64, ok bool)) {
	own := func() time.Duration { return work() + usage(syscall.RUSAGE_CHILDREN) }
	busy, total, ok := cores()
	worked, begun := own(), time.Now()
	return func() (float64, bool) {
		busyNow, totalNow, okNow := cores()
		if !ok || !okNow || totalNow == total {
			return 0, false
		}
		all := time.Since(begun) * time.Duration(runtime.NumCPU())
		return max(0, (busyNow-busy)/(totalNow-total)-float64(own()-worked)/float64(all)), true
	}
}

// cores reads how long all cores together were busy so far, and how long they
// were there, in the same unit (proc_stat(5): user, nice, system, idle, iowait…).
func cores() (busy, total float64, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(strings.TrimPrefix(line, "cpu")) {
		n, _ := strconv.ParseFloat(field, 64)
		if i > 7 {
			break // time of guests, which is in that of users already
		}
		total += n
		if i != 3 && i != 4 {
			busy += n
		}
	}
	return busy, total, total > 0
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
