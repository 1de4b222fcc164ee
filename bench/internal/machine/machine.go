// SPDX-License-Identifier: Apache-2.0

// Package machine says on what a benchmark ran: without it a number is none.
package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Describe returns one line: processor, how many, memory, kernel, Go, and how
// busy the machine is with other things.
func Describe() string {
	return fmt.Sprintf("%d x %s, %s of memory, Linux %s, %s %s/%s, load average %s",
		runtime.NumCPU(), field("/proc/cpuinfo", "model name", "an unnamed processor"),
		gib(field("/proc/meminfo", "MemTotal", "")), kernel(),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, load())
}

// load is that of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(b), " ")
	return minute
}

// field is the first value of a key in a file of "key : value" lines.
func field(file, key, unknown string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	return find(string(b), key, unknown)
}

func find(text, key, unknown string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return unknown
}

// gib rounds "16314720 kB", as /proc/meminfo has it.
func gib(total string) string {
	var kib float64
	if _, err := fmt.Sscanf(total, "%f kB", &kib); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

// kernel is the version without what the vendor adds.
func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of an unknown version"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-")
	return version
}
