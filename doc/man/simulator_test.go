// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"cmp"
	"regexp"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

const simulator = "imds-sim.1"

func TestSimulatorFlags(t *testing.T) {
	p, text := readPage(t, simulator), help(t, build(t, "imds-sim"))
	_, list, _ := strings.Cut(text, "\nFlags:\n")
	same(t, "options of imds-sim", flagHeads(p.in("DESCRIPTION", "")), flags(list))
	same(t, "options in the synopsis", synopsis(p.in("SYNOPSIS", ""))[""], flags(list))
}

var faultLine = regexp.MustCompile(`(?m)^  (\S+(?: \S+)*)(?:  .*)?$`)

// TestFaults compares the faults of the page with those of imds-sim --help, and
// parses each of them.
func TestFaults(t *testing.T) {
	_, list, _ := strings.Cut(imdstest.ScheduleHelp, "\nConnecting")
	var inCode, inPage []string
	for _, m := range faultLine.FindAllStringSubmatch(list, -1) {
		inCode = append(inCode, strings.Fields(m[1])...)
	}
	for _, head := range readPage(t, simulator).in("SCHEDULES", "*").items("Cm") {
		inPage = append(inPage, strings.NewReplacer(" to ", "..", "drip=D", "drip[=D]").Replace(head))
	}
	same(t, "faults", inPage, inCode)

	example := map[string]string{
		"100..599": "503", "slow=D": "slow=1s", "drip[=D]": "drip=10ms", "body=TEXT": "body=x", "big=N": "big=9",
		"interim=N": "interim=3", "ttl=VALUE": "ttl=0", "errno=NAME": "errno=ENETDOWN",
	}
	for _, fault := range inPage {
		if _, err := imdstest.ParseSchedule(cmp.Or(example[fault], fault)); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

// TestErrnos compares the errors that errno= accepts.
func TestErrnos(t *testing.T) {
	known := regexp.MustCompile(`\bE[A-Z]{3,}\b`)
	_, list, _ := strings.Cut(imdstest.ScheduleHelp, "errno=NAME")
	list, _, _ = strings.Cut(list, "in process only")
	text := readPage(t, simulator).in("SCHEDULES", "*").item("Cm", "errno=NAME")
	same(t, "errno", known.FindAllString(text, -1), known.FindAllString(list, -1))
}

var scheduleFlag = regexp.MustCompile(`--(?:schedule|also) '([^']*)'`)

// TestSchedules parses every schedule that the page shows.
func TestSchedules(t *testing.T) {
	p := readPage(t, simulator)
	schedules := strings.Fields(p.in("SCHEDULES", "").literals()[0])
	for _, text := range p.in("EXAMPLES", "*").literals() {
		for _, m := range scheduleFlag.FindAllStringSubmatch(text, -1) {
			schedules = append(schedules, m[1])
		}
	}
	for _, s := range schedules {
		if phases, err := imdstest.ParseSchedule(s); err != nil || len(phases) == 0 {
			t.Errorf("%s: %v", s, err)
		}
	}
	if len(schedules) != 7 {
		t.Errorf("the page shows %d schedules, want 7", len(schedules))
	}
}
