package bench_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "memberkey-bench"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}
