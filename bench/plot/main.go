// SPDX-License-Identifier: Apache-2.0

// Command plot draws the JSON that ./lag and ./late write with -json as SVG: for each kind of outage and each contestant
// a bar up to the median lag and a whisker up to the 90th percentile. If some trials never became ready, it says how many,
// as the bar is only of the others.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

func main() { report.Main("plot", func(context.Context) error { return run(os.Args[1:]) }) }

func run(args []string) error {
	flags := flag.NewFlagSet("plot", flag.ContinueOnError)
	out := flags.String("out", "", "the SVG file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() == 0 {
		return errors.New("-out must name the SVG file to write, and the arguments the JSON files to read")
	}
	var rows []report.Lags
	for _, file := range flags.Args() {
		var some []report.Lags
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &some)
		}
		if err != nil {
			return fmt.Errorf("reading the lags in %s: %w", file, err)
		}
		rows = append(rows, some...)
	}
	if len(rows) == 0 {
		return errors.New("the files have no lags")
	}
	return os.WriteFile(*out, []byte(draw(rows)), 0o644)
}

// The size of the drawing and of the plot in it, in pixels.
const width, height, left, top, right, bottom = 960, 480, 60.0, 50.0, 945.0, 440.0

// colors are those of Okabe and Ito, which color-blind people can tell apart.
func colors() []string {
	return []string{"#0072b2", "#e69f00", "#f0e442", "#999999", "#56b4e9", "#cc79a7"}
}

// draw draws the kinds from left to right, and the contestants in each, in the order in which they first appear.
func draw(rows []report.Lags) string {
	var kinds, names []string
	highest := 0.1
	for _, l := range rows {
		if !slices.Contains(kinds, l.Kind) {
			kinds = append(kinds, l.Kind)
		}
		if !slices.Contains(names, l.Waiter) {
			names = append(names, l.Waiter)
		}
		highest = max(highest, 1.45*l.P90) // leaves space for the legend and the words above the whiskers
	}
	space := (right - left) / float64(len(kinds)) // of a kind; its bars take 80 % of it
	bar := 0.8 * space / float64(len(names))
	wide := 0.9 * bar
	y := func(seconds float64) float64 { return bottom - seconds/highest*(bottom-top) }
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(x, y float64, more, words string) {
		add(`<text x="%.1f" y="%.1f" %s>%s</text>`, x, y, more, html.EscapeString(words))
	}
	const middle, up = `text-anchor="middle"`, `transform="rotate(-90 %.1f %.1f)"`
	add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Liberation Sans,Arial,sans-serif" font-size="13">`, width, height)
	add(`<rect width="100%%" height="100%%" fill="white"/>`) // the page of a reader may be dark
	text(width/2, 24, middle+` font-size="16"`, "From IMDS up to ready, after an outage of 2 to 4 s: median and 90th percentile")
	text(20, 245, middle+" "+fmt.Sprintf(up, 20.0, 245.0), "seconds, less is better")
	step := 0.5
	for highest/step > 9 {
		step *= 2
	}
	for s := 0.0; s <= highest; s += step {
		add(`<path d="M%.1f %.1fH%.1f" stroke="#dddddd"/>`, left, y(s), right)
		text(left-6, y(s)+4, `text-anchor="end"`, fmt.Sprintf("%.1f", s))
	}
	for i, kind := range kinds {
		text(left+(float64(i)+0.5)*space, bottom+22, middle, kind)
	}
	for i, name := range names {
		add(`<rect x="%.1f" y="%.1f" width="22" height="12" fill="%s"/>`, left+10, top-8+float64(19*i), colors()[i%len(colors())])
		text(left+38, top+3+float64(19*i), "", name)
	}
	for _, l := range rows {
		i := slices.Index(names, l.Waiter)
		x := left + (float64(slices.Index(kinds, l.Kind))+0.1)*space + float64(i)*bar
		if l.Ready() > 0 {
			add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x, y(l.P50), wide, bottom-y(l.P50), colors()[i%len(colors())])
			add(`<path d="M%.1f %.1fV%.1fM%.1f %.1fh%.1f" stroke="black"/>`, x+wide/2, y(l.P50), y(l.P90), x, y(l.P90), wide)
		}
		if lost := l.Trials - l.Ready(); lost > 0 {
			at := x + wide/2 + 4
			text(at, y(l.P90)-5, `font-size="11" `+fmt.Sprintf(up, at, y(l.P90)-5), fmt.Sprintf("%d of %d never ready", lost, l.Trials))
		}
	}
	return b.String() + "</svg>\n"
}
