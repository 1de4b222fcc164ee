// SPDX-License-Identifier: Apache-2.0

package markdown

import (
	"errors"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, []string{"what", "p50", "µs"}, []string{"first", "1"}, []string{"ä", "12.5", "3"}); err != nil {
		t.Fatal(err)
	}
	const want = `| what  |  p50 |  µs |
| ----- | ---: | --: |
| first |    1 |     |
| ä     | 12.5 |   3 |
`
	if b.String() != want {
		t.Errorf("table:\n%swant:\n%s", b.String(), want)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestTableTellsErrors(t *testing.T) {
	if err := Table(full{}, []string{"what"}); !errors.Is(err, errFull) {
		t.Errorf("err = %v", err)
	}
}
