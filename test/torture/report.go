// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sync"
)

// report counts facts. It is safe for concurrent use.
type report struct {
	mu             sync.Mutex
	passed, failed int
}

// fact prints and counts one fact.
func (r *report) fact(holds bool, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word := "ok  "
	if holds {
		r.passed++
	} else {
		r.failed++
		word = "FAIL"
	}
	fmt.Printf("%s %s\n", word, fmt.Sprintf(format, args...))
}

// note prints a line that is not a fact.
func (r *report) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Printf("# %s\n", fmt.Sprintf(format, args...))
}

// check prints a fact that holds if there are no problems.
func (r *report) check(problems []string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for i, p := range problems {
		if i == maxShown {
			text += fmt.Sprintf("\n         and %d more", len(problems)-i)
			break
		}
		text += "\n         " + p
	}
	r.fact(len(problems) == 0, "%s", text)
}

// maxShown is the maximum number of problems that are printed for one fact.
const maxShown = 5

// end prints the last line and returns the exit code.
func (r *report) end() int {
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 || r.passed == 0 {
		return 1
	}
	return 0
}

// problems collects error messages. It is safe for concurrent use.
type problems struct {
	mu   sync.Mutex
	list []string
}

func (p *problems) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, fmt.Sprintf(format, args...))
}
