// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
)

// background is white, as a reader's page may be dark and the letters are not.
var background = color.White

// colors are those of Okabe and Ito, which colour-blind people can tell apart.
func colors() []color.Color {
	return []color.Color{
		color.RGBA{R: 0, G: 114, B: 178, A: 255},
		color.RGBA{R: 230, G: 159, B: 0, A: 255},
		color.RGBA{R: 240, G: 228, B: 66, A: 255},
		color.RGBA{R: 153, G: 153, B: 153, A: 255},
		color.RGBA{R: 86, G: 180, B: 233, A: 255},
	}
}

// sans is the font that numbers are read best in.
const sans = "Sans"

// series is one waiter: a bar a kind of outage, beside those of the others. A
// kind that was not measured has no row.
type series struct {
	rows      []*lags.Row
	place, of int
	color     color.Color
}

// wide is the part of a kind's place that its bars take.
const wide = 0.8

// at is where the bar of a kind begins and ends.
func (s series) at(kind int) (from, to float64) {
	each := wide / float64(s.of)
	from = float64(kind) - wide/2 + float64(s.place)*each
	return from, from + each*0.9
}

// DataRange is what has to be seen (plot.DataRanger).
func (s series) DataRange() (xmin, xmax, ymin, ymax float64) {
	for _, r := range s.rows {
		if r != nil {
			ymax = math.Max(ymax, r.P90)
		}
	}
	return -0.5, float64(len(s.rows)) - 0.5, 0, ymax
}

// Plot draws the bars (plot.Plotter).
func (s series) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	line := draw.LineStyle{Color: color.Black, Width: vg.Points(1)}
	words := text.Style{
		Color: color.Black, Font: plot.DefaultFont, Rotation: math.Pi / 2,
		XAlign: text.XLeft, YAlign: text.YCenter, Handler: p.TextHandler,
	}
	words.Font.Variant = sans
	words.Font.Size = vg.Points(8)
	for kind, r := range s.rows {
		if r == nil {
			continue
		}
		from, to := s.at(kind)
		left, right, middle := x(from), x(to), x((from+to)/2)
		if r.Had() > 0 {
			c.FillPolygon(s.color, []vg.Point{{X: left, Y: y(0)}, {X: left, Y: y(r.P50)}, {X: right, Y: y(r.P50)}, {X: right, Y: y(0)}})
			c.StrokeLine2(line, middle, y(r.P50), middle, y(r.P90))
			c.StrokeLine2(line, left, y(r.P90), right, y(r.P90))
		}
		if lost := r.Trials - r.Had(); lost > 0 {
			c.FillText(words, vg.Point{X: middle, Y: y(r.P90) + vg.Points(4)}, fmt.Sprintf("%d of %d never ready", lost, r.Trials))
		}
	}
}

// Thumbnail is the legend's (plot.Thumbnailer).
func (s series) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.color, []vg.Point{
		{X: c.Min.X, Y: c.Min.Y},
		{X: c.Min.X, Y: c.Max.Y},
		{X: c.Max.X, Y: c.Max.Y},
		{X: c.Max.X, Y: c.Min.Y},
	})
}
