// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// scene is a tree to collect and the latency of IMDS.
type scene struct {
	tree       string // in the heading
	latency    time.Duration
	interfaces int    // in addition to the two of the tree; 17 make 400 paths
	config     string // of the daemon
}

func (s scene) String() string { return fmt.Sprintf("%s, at %v", s.tree, s.latency) }

// standard is the scene of the targets, and standardDocument that of the target for the identity document alone.
const (
	standard         = "the whole tree, at 300µs"
	standardDocument = "the identity document, at 300µs"
)

func scenes() []scene {
	const tree, document = "the whole tree", "the identity document"
	const onlyDocument = endpoint + "[metadata]\ninclude = []\n"
	return []scene{
		{tree, 0, 0, endpoint},
		{tree, 300 * time.Microsecond, 0, endpoint},
		{tree, time.Millisecond, 0, endpoint},
		{document, 0, 0, onlyDocument},
		{document, 300 * time.Microsecond, 0, onlyDocument},
		{document, time.Millisecond, 0, onlyDocument},
		{"the tree with 17 more interfaces", 300 * time.Microsecond, 17, endpoint},
	}
}

const oneByOne, many = "SDK, one by one", "GOMAXPROCS=64"

// contestants include the daemon as if on a large machine (with a high GOMAXPROCS), and other builds of the daemon.
func (s scene) contestants(others []string) []contestant {
	identity := fmt.Sprintf("-identity=%t", s.config != endpoint)
	all := []contestant{
		configured(daemon, s.config),
		crawler(oneByOne, "-concurrency", "1", identity),
		crawler("SDK, 4 at a time", "-concurrency", "4", identity),
		configured(daemon+", "+many, s.config, many),
	}
	for _, other := range others {
		c := configured(other, s.config)
		c.Path = other
		all = append(all, c)
	}
	return all
}

// Startup measures a start with IMDS up.
func Startup(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	var others []string
	rounds := flags.Int("n", 40, "rounds that count; each runs every program once")
	warmup := flags.Int("warmup", 3, "rounds before them that do not count")
	all := flags.Bool("all", false, "run all scenes: the identity document and the tree at several latencies, and a tree of 400 paths")
	flags.Func("also", "another build of imds-ready to run as well, such as one before a change; repeatable", func(path string) error {
		path, err := filepath.Abs(path)
		others = append(others, path)
		return err
	})
	return func(ctx context.Context, r *report.Report) error {
		if *rounds < 1 || *warmup < 0 {
			return errors.New("-n must be at least 1, and -warmup not negative")
		}
		played := slices.DeleteFunc(scenes(), func(s scene) bool { return !*all && s.String() != standard })
		var trials []trial
		for _, s := range played {
			trials = append(trials, trial{
				Scene: s.String(), Contestants: inTurn(s.contestants(others), *warmup, *rounds), Warmup: *warmup * len(s.contestants(others)),
				Limit: 30 * time.Second, Required: true,
				Simulator: []string{"-latency", s.latency.String(), "-interfaces", fmt.Sprint(s.interfaces)},
			})
		}
		all, sdk, err := measure(ctx, 1, trials)
		if err != nil {
			return err
		}
		r.Printf(`The simulator runs on the same machine and holds each answer back by the time in the heading. imds-ready counts to
READY=1 in the environment of its unit (GOMAXPROCS=1), the crawlers with %s to their exit.
%d rounds follow %d for warming up; each runs every program once. The ratio is the median of the ratios within a round.
All programs are built with %s.
`, sdk, *rounds, *warmup, how)
		for _, s := range played {
			all.of(s.String(), "").reportStartup(r)
		}
		startupTargets(r, all)
		return nil
	}
}

// inTurn returns every contestant once a round. Every second round runs backwards, so that no contestant always follows
// the same one; the first round after the warm-up runs forwards.
func inTurn(contestants []contestant, warmup, rounds int) (all []contestant) {
	for i := range warmup + rounds {
		order := slices.Clone(contestants)
		if (i-warmup)%2 != 0 {
			slices.Reverse(order)
		}
		all = append(all, order...)
	}
	return all
}

// ratio returns the median of the ratios of a contestant's times to those of the SDK, one by one, within a round. If the
// speed of the machine drifts, it stays valid; the ratio of the medians does not.
func (all measurements) ratio(contestant string) float64 {
	var ratios []float64
	base := all.of("", oneByOne)
	for i, m := range all.of("", contestant) {
		ratios = append(ratios, float64(m.Done)/float64(base[i].Done))
	}
	return report.Quantile(ratios, 0.5)
}

func size(m measurement) int64 { return m.Size }

func (all measurements) reportStartup(r *report.Report) {
	r.Printf("\n## %s (%v measured)\n\n", all[0].Scene, time.Duration(all[0].Latency*float64(time.Second)).Round(time.Microsecond))
	all.table(
		r, "",
		at("median", 0.5, done, ms),
		at("p90", 0.9, done, ms),
		column{"ratio", func(own measurements) string { return fmt.Sprintf("%.2f", all.ratio(own[0].Contestant)) }},
		at("to exit", 0.5, func(m measurement) time.Duration { return m.Exit }, ms),
		at("CPU", 0.5, cpu, ms),
		column{"peak memory", memory},
		column{"PUT + GET", func(own measurements) string {
			return fmt.Sprintf("%d + %d", own[0].Requests.PUTs, own[0].Requests.GETs)
		}},
		at("notifications", 0.5, func(m measurement) int { return m.Notifications }, count),
		at("binary", 1, size, mib),
	)
}

// startupTargets compares all scenes with the targets. Those of the ratios are for the standard scenes only.
func startupTargets(r *report.Report, all measurements) {
	const maxPeak, maxSize = 16 << 20, 8 << 20
	for _, t := range []struct {
		scene    string
		maxRatio float64
	}{{standard, 0.5}, {standardDocument, 1}} {
		if scene := all.of(t.scene, ""); len(scene) > 0 {
			ratio := scene.ratio(daemon)
			r.Target(t.scene+", of the SDK's time one by one", percent(t.maxRatio), percent(ratio), ratio <= t.maxRatio)
		}
	}
	worst := quantile(append(all.of("", daemon), all.of("", daemon+", "+many)...), 1, peak)
	r.Target("peak memory, the worst run", mib(maxPeak), mib(worst), worst <= maxPeak)
	binary := quantile(all.of("", daemon), 1, size)
	r.Target("stripped binary", mib(maxSize), mib(binary), binary <= maxSize)
}
