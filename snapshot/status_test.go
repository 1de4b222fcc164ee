// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSeconds(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0.000"},
		{2300 * time.Millisecond, "2.300"},
		{499 * time.Microsecond, "0.000"},
		{500 * time.Microsecond, "0.001"},
		{59999999999, "60.000"},
		{168*time.Hour + time.Millisecond, "604800.001"},
		{100 * 365 * 24 * time.Hour, "3153600000.000"},
	}
	for _, tt := range tests {
		data, err := json.Marshal(Seconds(tt.d))
		if err != nil || string(data) != tt.want {
			t.Errorf("%v is %s %v, want %s", tt.d, data, err, tt.want)
		}
	}
	for _, text := range []string{`"1"`, "null", "true", "1e300", "-1e300", "{}"} {
		var s Seconds
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s is read as %v", text, s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		// A gate takes less than a year.
		want := Seconds(rapid.Int64Range(0, 365*24*3600*1000).Draw(t, "ms") * int64(time.Millisecond))
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Seconds
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Fatalf("%s is read as %v %v, want %v", data, got, err, want)
		}
	})
}
