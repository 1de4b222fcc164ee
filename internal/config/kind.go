// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type and the range of a key's value.
type kind[T any] struct {
	// valid is the range, in the words of a problem. It is empty if the
	// problem itself says everything.
	valid string
	// read returns the value, or what is wrong with it, one text a problem.
	read func(raw any) (T, []string)
	// show prints the value as TOML.
	show func(T) string
}

// wrongType is the problem of a value of another type.
func wrongType(raw any, wanted string) string { return "must be " + wanted + ", not " + noun(raw) }

// scalar is a kind of one type of TOML. Its check returns the value in its
// final form, or what is wrong with it.
func scalar[Raw, T any](wanted, valid string, show func(T) string, check func(Raw) (value T, problem string)) kind[T] {
	return kind[T]{valid: valid, show: show, read: func(raw any) (value T, problems []string) {
		typed, ok := raw.(Raw)
		if !ok {
			return value, []string{wrongType(raw, wanted)}
		}
		value, problem := check(typed)
		if problem != "" {
			problems = []string{problem}
		}
		return value, problems
	}}
}

const outOfRange = "out of range"

// units are those of a duration that somebody would write.
const units = "(ms, s, m, h)"

// duration is a string with a unit, low to high; with zero, "0s" is valid too
// and means no limit.
func duration(low, high time.Duration, zero bool) kind[time.Duration] {
	valid := tomlDuration(low) + " to " + tomlDuration(high)
	if zero {
		valid = `"0s" (no limit), ` + valid
	}
	return scalar("", valid, tomlDuration, func(raw any) (time.Duration, string) {
		d, problem := readDuration(raw)
		if problem == "" && (d < low || d > high) && (!zero || d != 0) {
			problem = outOfRange
		}
		return d, problem
	})
}

// wholeSeconds narrows a duration to what the token's TTL header can say.
func wholeSeconds(k kind[time.Duration]) kind[time.Duration] {
	return scalar("", k.valid+" in whole seconds", k.show, func(raw any) (time.Duration, string) {
		d, problems := k.read(raw)
		if len(problems) == 0 && d%time.Second != 0 {
			problems = []string{"must be a whole number of seconds"}
		}
		return d, strings.Join(problems, "")
	})
}

func readDuration(raw any) (d time.Duration, problem string) {
	switch raw.(type) {
	case string, int64, float64:
	default:
		return 0, wrongType(raw, "a duration with a unit "+units)
	}
	written := fmt.Sprint(raw)
	if n, err := strconv.ParseFloat(written, 64); err == nil {
		example := "5s"
		if n >= 0 && strings.Trim(written, "0123456789.") == "" {
			example = written + "s"
		}
		return 0, "a duration needs a unit " + units + `: write "` + example + `"`
	}
	d, err := time.ParseDuration(written)
	if err != nil {
		return 0, "must be a number and a unit " + units + `, as in "5s" or "1m30s"`
	}
	return d, ""
}

// integer is a whole number, low to high. zero says what 0 means, if that is
// something special.
func integer(low, high int, zero string) kind[int] {
	valid := strconv.Itoa(low) + " to " + strconv.Itoa(high)
	if zero != "" {
		valid += " (0: " + zero + ")"
	}
	return scalar("a whole number", valid, strconv.Itoa, func(n int64) (int, string) {
		if n < int64(low) || n > int64(high) {
			return 0, outOfRange
		}
		return int(n), ""
	})
}

// number is a float or a whole number, low to high.
func number(low, high float64) kind[float64] {
	valid := tomlFloat(low) + " to " + tomlFloat(high)
	return scalar("", valid, tomlFloat, func(raw any) (float64, string) {
		f, ok := raw.(float64)
		if n, whole := raw.(int64); whole {
			f, ok = float64(n), true
		}
		switch {
		case !ok:
			return 0, wrongType(raw, "a number")
		case f >= low && f <= high: // false for nan
			return f, ""
		}
		return 0, outOfRange
	})
}

// boolean is true or false.
func boolean() kind[bool] {
	return scalar("a boolean", "true or false", strconv.FormatBool, func(b bool) (bool, string) { return b, "" })
}

// enumeration is one of some lower-case names.
func enumeration[T ~string](values ...T) kind[T] {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = tomlString(string(v))
	}
	show := func(v T) string { return tomlString(string(v)) }
	return scalar("a string", either(quoted), show, func(s string) (T, string) {
		switch {
		case slices.Contains(values, T(s)):
			return T(s), ""
		case slices.Contains(values, T(strings.ToLower(s))):
			return "", "must be in lower case"
		}
		return "", "unknown value"
	})
}

// text is a string.
func text(valid string, check func(string) (value, problem string)) kind[string] {
	return scalar("a string", valid, tomlString, check)
}

// list is a list of strings, each of which check looks at. An empty one is
// valid unless empty says what is wrong with it.
func list(empty string, check func(string) (problem string)) kind[[]string] {
	return kind[[]string]{show: tomlStrings, read: func(raw any) (values, problems []string) {
		items, ok := raw.([]any)
		switch {
		case !ok:
			problem := wrongType(raw, "a list of strings")
			if s := asString(raw); s != "" {
				problem += ": write [" + s + "]"
			}
			return nil, []string{problem}
		case len(items) == 0 && empty != "":
			return nil, []string{empty}
		}
		for i, item := range items {
			s, ok := item.(string)
			var problem string
			if ok {
				problem = check(s)
			} else {
				problem = fmt.Sprintf("item %d %s", i+1, wrongType(item, "a string"))
				if s := asString(item); s != "" {
					problem += ": write " + s
				}
			}
			if problem != "" {
				problems = append(problems, problem)
			}
			values = append(values, s)
		}
		return values, problems
	}}
}

// alternatives is a string, or a list of strings of which any will do. An empty
// string stands for no restriction, which is nil.
func alternatives() kind[[]string] {
	const wanted = "a string or a list of strings"
	several := list("an empty list matches nothing", func(s string) string {
		switch {
		case s == "":
			return "an empty string in a list matches nothing"
		case strings.HasSuffix(s, "\n"):
			return quote(s) + " ends with a line break, which is not part of a value: remove it"
		}
		return ""
	})
	return kind[[]string]{
		valid: wanted + `; "" for any value`,
		read: func(raw any) ([]string, []string) {
			if raw == "" {
				return nil, nil
			}
			switch raw.(type) {
			case string:
				raw = []any{raw}
			case int64, bool:
				return nil, []string{wrongType(raw, wanted) + ": write " + quote(fmt.Sprint(raw))}
			case []any:
			default:
				return nil, []string{wrongType(raw, wanted)}
			}
			return several.read(raw)
		},
		show: func(values []string) string {
			if len(values) > 1 {
				return tomlStrings(values)
			}
			return tomlString(strings.Join(values, ""))
		},
	}
}

// asString writes a string or a whole number, such as the status 404, as a
// string of TOML.
func asString(raw any) string {
	switch raw.(type) {
	case string, int64:
		return quote(fmt.Sprint(raw))
	}
	return ""
}
