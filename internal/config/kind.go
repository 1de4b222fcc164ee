// SPDX-License-Identifier: Apache-2.0

package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is what a key's value may be: how it is read from a file, how it is
// shown, and what is legal.
type kind[T any] struct {
	// legal is the range, in the words of a problem; "": the noun says it all,
	// or the problem does.
	legal string
	// read returns what is wrong, one text a problem, or none and the value.
	read func(raw any) (T, []string)
	// show prints the value as TOML.
	show func(T) string
}

// wrongType is the problem of a value of another type.
func wrongType(raw any, wanted string) []string {
	return []string{noun(raw) + " where " + wanted + " belongs"}
}

// duration is a string with a unit, low to high; with zero, "0s" is legal too
// and means no limit.
func duration(low, high time.Duration, zero bool) kind[time.Duration] {
	legal := tomlDuration(low) + " to " + tomlDuration(high)
	if zero {
		legal = `"0s" (no limit), ` + legal
	}
	return kind[time.Duration]{
		legal: legal,
		read: func(raw any) (time.Duration, []string) {
			d, problems := readDuration(raw)
			if len(problems) == 0 && (d < low || d > high) && (!zero || d != 0) {
				problems = []string{"out of range"}
			}
			return d, problems
		},
		show: tomlDuration,
	}
}

// wholeSeconds narrows a duration to what the token's TTL header can say.
func wholeSeconds(k kind[time.Duration]) kind[time.Duration] {
	read := k.read
	k.legal += " in whole seconds"
	k.read = func(raw any) (time.Duration, []string) {
		d, problems := read(raw)
		if len(problems) == 0 && d%time.Second != 0 {
			problems = []string{"not a whole number of seconds"}
		}
		return d, problems
	}
	return k
}

func readDuration(raw any) (time.Duration, []string) {
	var written string
	switch raw := raw.(type) {
	case string:
		written = raw
	case int64, float64:
		written = tomlValue(raw)
	default:
		return 0, wrongType(raw, "a duration")
	}
	if n, err := strconv.ParseFloat(written, 64); err == nil {
		return 0, []string{needsUnit(written, n)}
	}
	d, err := time.ParseDuration(written)
	if err != nil {
		return 0, []string{`not a duration: write a number and a unit (ms, s, m, h), as in "5s" or "1m30s"`}
	}
	return d, nil
}

// needsUnit tells somebody who wrote 5 to write "5s".
func needsUnit(written string, n float64) string {
	example := "5s"
	if n >= 0 && strings.Trim(written, "0123456789.") == "" {
		example = written + "s"
	}
	return `a duration needs a unit: write "` + example + `"`
}

// integer is a whole number, low to high; zero says what 0 means, "" if
// nothing special.
func integer(low, high int, zero string) kind[int] {
	legal := strconv.Itoa(low) + " to " + strconv.Itoa(high)
	if zero != "" {
		legal += " (0: " + zero + ")"
	}
	return kind[int]{
		legal: legal,
		read: func(raw any) (int, []string) {
			n, ok := raw.(int64)
			switch {
			case !ok:
				return 0, wrongType(raw, "a whole number")
			case n < int64(low) || n > int64(high):
				return 0, []string{"out of range"}
			}
			return int(n), nil
		},
		show: strconv.Itoa,
	}
}

// number is a float or a whole number, low to high.
func number(low, high float64) kind[float64] {
	return kind[float64]{
		legal: tomlFloat(low) + " to " + tomlFloat(high),
		read: func(raw any) (float64, []string) {
			f, ok := raw.(float64)
			if n, whole := raw.(int64); whole {
				f, ok = float64(n), true
			}
			switch {
			case !ok:
				return 0, wrongType(raw, "a number")
			case math.IsNaN(f) || f < low || f > high:
				return 0, []string{"out of range"}
			}
			return f, nil
		},
		show: tomlFloat,
	}
}

// boolean is true or false.
func boolean() kind[bool] {
	return kind[bool]{
		legal: "true, false",
		read: func(raw any) (bool, []string) {
			b, ok := raw.(bool)
			if !ok {
				return false, wrongType(raw, "a boolean")
			}
			return b, nil
		},
		show: strconv.FormatBool,
	}
}

// enumeration is one of some lower-case names.
func enumeration[T ~string](values ...T) kind[T] {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = tomlString(string(v))
	}
	return kind[T]{
		legal: strings.Join(quoted, ", "),
		read: func(raw any) (T, []string) {
			s, ok := raw.(string)
			switch {
			case !ok:
				return "", wrongType(raw, "a string")
			case slices.Contains(values, T(s)):
				return T(s), nil
			case slices.Contains(values, T(strings.ToLower(s))):
				return "", []string{"enumerations are lower case"}
			}
			return "", []string{"no such value"}
		},
		show: func(v T) string { return tomlString(string(v)) },
	}
}

// text is a string; check returns it in its final form, or what is wrong.
func text(legal string, check func(string) (value, problem string)) kind[string] {
	return kind[string]{
		legal: legal,
		read: func(raw any) (string, []string) {
			s, ok := raw.(string)
			if !ok {
				return "", wrongType(raw, "a string")
			}
			value, problem := check(s)
			if problem != "" {
				return "", []string{problem}
			}
			return value, nil
		},
		show: tomlString,
	}
}

// list is a list of strings, each of which check looks at. An empty one is
// legal unless empty says what is wrong with it.
func list(empty string, check func(string) (problem string)) kind[[]string] {
	return kind[[]string]{
		read: func(raw any) ([]string, []string) {
			items, ok := raw.([]any)
			if !ok {
				return nil, wrongType(raw, "a list of strings")
			}
			if len(items) == 0 && empty != "" {
				return nil, []string{empty}
			}
			var values, problems []string
			for _, item := range items {
				s, ok := item.(string)
				if !ok {
					problems = append(problems, shorten(tomlValue(item))+": "+wrongType(item, "a string")[0])
					continue
				}
				if problem := check(s); problem != "" {
					problems = append(problems, problem)
				}
				values = append(values, s)
			}
			return values, problems
		},
		show: tomlStrings,
	}
}
