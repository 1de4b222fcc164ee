// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// unit has properties of a unit, as systemctl(1) prints them. It is empty if systemd does
// not answer within a second, or does not run at all.
type unit map[string]string

// showUnit asks systemd, unless the files were not written on this machine or by
// this unit.
func (p *program) showUnit(ctx context.Context) unit {
	if p.ignoreBootID || p.directory != "" {
		return nil
	}
	u := show(ctx, "imds-ready.service", "LoadState,ActiveState,Result,ConditionResult,ConditionTimestampMonotonic")
	if u["LoadState"] != "loaded" {
		return nil
	}
	return u
}

// beforeSysinit reports whether systemd says that sysinit.target is not reached. The gate
// starts after it, so a program that this target waits for cannot wait for the gate.
func (p *program) beforeSysinit(ctx context.Context) bool {
	return p.showUnit(ctx) != nil && show(ctx, "sysinit.target", "ActiveState")["ActiveState"] == "inactive"
}

// show returns properties of a unit of systemd.
func show(ctx context.Context, name, properties string) unit {
	const patience, forOutput = 800 * time.Millisecond, 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	systemctl := exec.CommandContext(ctx, "systemctl", "show", name, "--property="+properties)
	systemctl.WaitDelay = forOutput // a child of it could keep the pipe open
	out, err := systemctl.Output()
	if err != nil {
		return nil
	}
	u := unit{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		u[key] = value
	}
	return u
}

// showUnitWithoutStatus asks systemd only if there is no status of this boot.
func (p *program) showUnitWithoutStatus(ctx context.Context) unit {
	_, _, err := snapshot.ReadStatusJSON(p.readDirectory(), p.bootID())
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, snapshot.ErrOtherBoot) {
		return nil
	}
	return p.showUnit(ctx)
}

// checked reports whether systemd has tried to start the unit: the conditions come
// first.
func (u unit) checked() bool {
	at := u["ConditionTimestampMonotonic"]
	return at != "" && at != "0"
}

// skipped reports whether an off switch, or another condition of the unit, kept
// systemd from starting it.
func (u unit) skipped() bool {
	return u["ActiveState"] == "inactive" && u.checked() && u["ConditionResult"] == "no"
}

const (
	skippedUnit     = "systemd skipped imds-ready.service, because a condition of the unit is not met"
	skippedUnitHint = "`systemctl status imds-ready` names the condition; imds-ready(8) describes the off switches"
)

// news describes what status.json does not say, or is empty.
func (u unit) news(hasStatus bool) string {
	switch state := u["ActiveState"]; {
	case state == "failed" && u["Result"] == "start-limit-hit":
		return "systemd refused to start imds-ready.service, because it was started too often: " +
			"`systemctl reset-failed imds-ready` lifts the limit"
	case u.skipped():
		return skippedUnit + ": " + skippedUnitHint
	case hasStatus:
		return ""
	case state == "failed":
		return "imds-ready.service has failed (" + u["Result"] + "): see `journalctl -u imds-ready`"
	case state == "activating":
		return "systemd is starting imds-ready.service"
	case state == "inactive" && !u.checked():
		return "systemd has not started imds-ready.service yet"
	}
	return ""
}
