// Command testreport reads the output of `go test -json` and tells people what
// ran: a line for every package, the output of what failed, every skip with
// its reason, and one closing line. With CI=true a skip is a failure.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	also := flag.String("skipped", "", "something that was skipped outside the tests, and why")
	flag.Parse()
	start := time.Now()
	output := map[string][]string{}
	passed, failed := 0, 0
	exit := "unknown: its output ended early"
	var skips []string
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		name := strings.TrimPrefix(e.Package, "github.com/memberkey/memberkey/")
		key := name + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "exit": // of go test itself, told by test.sh
			exit = e.Output
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %-40s %6.1f s\n", name, e.Elapsed)
			} else {
				passed++
			}
			delete(output, key)
		case "skip":
			if e.Test != "" {
				skips = append(skips, key+": "+reason(output[key]))
			}
			delete(output, key)
		case "fail":
			failed++
			fmt.Printf("FAIL  %s\n%s", key, strings.Join(output[key], ""))
		}
	}
	if err := lines.Err(); err != nil {
		exit = err.Error()
	}
	if exit != "0" && failed == 0 {
		fmt.Println("FAIL  go test ended with " + exit)
		failed++
	}
	if *also != "" {
		skips = append(skips, *also)
	}
	sort.Strings(skips)
	for _, s := range skips {
		fmt.Println("skip  " + s)
	}
	fmt.Printf("\ntook %.0f s\n%d passed, %d failed, %d skipped\n", time.Since(start).Seconds(), passed, failed, len(skips))
	strict := os.Getenv("CI") == "true"
	if strict && len(skips) > 0 {
		fmt.Println("With CI=true nothing may be skipped.")
	}
	if failed > 0 || passed == 0 || strict && len(skips) > 0 {
		os.Exit(1)
	}
}

// reason is what a skipped test said last.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}
