// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// HiddenBy returns the numbers, from 1, of the earlier rules that decide everything
// that the rule of this number would match, or nil if the rule can decide something. A
// glob that covers another one in a way that only a search could find is not noticed.
func (p Policy) HiddenBy(number int) []int {
	rule := p.Rules[number-1]
	var by []int
	for _, on := range rule.On {
		i := slices.IndexFunc(p.Rules[:number-1], func(earlier Rule) bool {
			return coversPath(earlier.Path, rule.Path) && coversOn(earlier.On, on)
		})
		if i < 0 {
			return nil
		}
		by = append(by, i+1)
	}
	slices.Sort(by)
	return slices.Compact(by)
}

// coversOn reports whether a list matches every class that one entry matches.
func coversOn(list []string, on string) bool {
	return slices.Contains(list, on) || slices.ContainsFunc(list, Class(on).matchesOn)
}

// coversPath reports whether a glob matches every path that another one matches. It is
// false if that is hard to tell.
func coversPath(glob, other string) bool {
	if glob == "" || glob == "**" || glob == other {
		return true
	}
	if !strings.ContainsAny(other, `*?[{\`) { // it is a path
		return other != "" && doublestar.MatchUnvalidated(glob, other)
	}
	below, ok := strings.CutSuffix(glob, "**")
	return ok && strings.HasSuffix(below, "/") && !strings.ContainsAny(below, `*?[{\`) && strings.HasPrefix(other, below)
}
