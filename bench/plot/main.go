// SPDX-License-Identifier: Apache-2.0

// Command plot draws what ./lag and ./late have measured, from the JSON that
// they write with -json: for each kind of outage and each waiter a bar up to the
// median lag and a whisker up to the 90th percentile. How many never were is told,
// as the bar is of the others only.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/imds-ready/imds-ready/bench/internal/command"
	"github.com/imds-ready/imds-ready/bench/internal/lags"
)

func main() { os.Exit(command.Run("plot", run)) }

func run(_ context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("plot", flag.ContinueOnError)
	out := flags.String("out", "", "the file to draw, .svg or .png")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() == 0 {
		return errors.New("-out names the file to draw, the arguments those to read")
	}
	rows, err := lags.Load(flags.Args()...)
	if err != nil {
		return err
	}
	p, err := figure(rows)
	if err != nil {
		return err
	}
	if err := save(p, *out); err != nil {
		return fmt.Errorf("drawing %s: %w", *out, err)
	}
	return nil
}

// save writes the plot in the format that the file's name ends in.
func save(p *plot.Plot, file string) error {
	drawn, err := p.WriterTo(24*vg.Centimeter, 12*vg.Centimeter, strings.TrimPrefix(filepath.Ext(file), "."))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if _, err := drawn.WriteTo(&b); err != nil {
		return err
	}
	// Few readers of an SVG have the font that it was drawn for.
	drawing := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;"))
	return os.WriteFile(file, drawing, 0o644)
}

// figure makes the plot: kinds from left to right in the order of the rows, in
// each the waiters in the order in which they first appear.
func figure(rows []lags.Row) (*plot.Plot, error) {
	if len(rows) == 0 {
		return nil, errors.New("there is nothing to draw")
	}
	kinds := distinct(rows, func(r lags.Row) string { return r.Kind })
	names := distinct(rows, func(r lags.Row) string { return r.Waiter })
	p := plot.New()
	p.BackgroundColor = background
	p.Title.Text = "From IMDS up to ready, after an outage of 2 to 4 s: median, and 90th percentile"
	p.Y.Label.Text = "seconds, less is better"
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding, p.Legend.XOffs = vg.Points(3), vg.Points(6)
	p.Title.Padding = vg.Points(6)
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = sans
	}
	for i, name := range names {
		s := series{rows: make([]*lags.Row, len(kinds)), place: i, of: len(names), color: colors()[i%len(colors())]}
		for _, r := range rows {
			if r.Waiter == name {
				s.rows[slices.Index(kinds, r.Kind)] = &r
			}
		}
		p.Add(s)
		p.Legend.Add(name, s)
	}
	p.NominalX(kinds...)
	p.Y.Max *= 1.35 // the legend and the words above the whiskers
	return p, nil
}

// distinct are the values of the rows in the order in which they come.
func distinct(rows []lags.Row, of func(lags.Row) string) []string {
	var all []string
	for _, r := range rows {
		if v := of(r); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
