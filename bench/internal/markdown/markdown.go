// SPDX-License-Identifier: Apache-2.0

// Package markdown writes tables that can also be read as they are.
package markdown

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes a header and rows, the first column to the left and the others,
// numbers, to the right. A row may be shorter than the header.
func Table(w io.Writer, header []string, rows ...[]string) error {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	line(&b, widths, header)
	b.WriteString("|")
	for i, width := range widths {
		if i == 0 {
			b.WriteString(" " + strings.Repeat("-", width) + " |")
		} else {
			b.WriteString(" " + strings.Repeat("-", width-1) + ": |")
		}
	}
	b.WriteString("\n")
	for _, row := range rows {
		line(&b, widths, row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(b *strings.Builder, widths []int, row []string) {
	b.WriteString("|")
	for i, width := range widths {
		cell := ""
		if i < len(row) {
			cell = row[i]
		}
		if i == 0 {
			fmt.Fprintf(b, " %-*s |", width, cell)
		} else {
			fmt.Fprintf(b, " %*s |", width, cell)
		}
	}
	b.WriteString("\n")
}
