package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// options is what the bench is asked to do.
type options struct {
	rounds    int
	window    time.Duration // each measured span
	cases     []string      // names, in the order of caseNames
	extras    []extra
	reference string // name of the extra that the table's last column is about
	evenkeel  string // path of a binary; "" to build this tree
	// registryChecks also probes the backends of the large registry.
	registryChecks bool
	quick          bool
	// programs are the names of those to measure in the cases of protocols and of
	// costs; none: all that are there.
	programs []string
}

// extra is one more program to measure.
type extra struct {
	name string
	// command is its command line with the placeholders of [extra.argv].
	command string
}

// caseNames are all cases, in the order in which they run.
func caseNames() []string {
	return []string{"get64", "get512", "post64", "connect64", "big16", "p99", "memory", "allocations", "registry", "stall", "loops",
		"tls64", "handshake64", "resume64", "resume-other64", "h2", "grpc64", "tcp64", "tcp-gb", "memory-tls"}
}

const usage = `Measures Evenkeel beside HAProxy, nginx and Caddy. Install what is missing with
apt-get install haproxy nginx-light caddy; the bench goes on without it.

cases: get64        GET of 1 KB on 64 keep-alive connections
       get512       the same on 512
       post64       POST of 4 KB on 64 keep-alive connections
       connect64    GET of 1 KB on a new connection each, 64 at a time
       big16        GET of 1 MB on 16 keep-alive connections
       p99          open loop at 60 % of the slower one's highest rate, 9 rounds
       memory       per idle keep-alive connection, 5,000 and 20,000 of them
       allocations  of Evenkeel per request
       registry     the first five with 1,000 pools of 100 backends in the registry
       stall        p99 while the registry changes 1,000 times a second
       loops        two loops on the two cores of the load
       tls64        as get64, over TLS 1.3
       handshake64  a full handshake of TLS for each GET of 1 KB, 64 at a time
       resume64     a resumed one
       resume-other64  the same with the ticket of another node
       h2           GET of 1 KB by HTTP/2 over TLS, 10 connections of 20 streams
       grpc64       unary gRPC of 100 B, HTTP/2 on both sides, 64 streams
       tcp64        as get64, through a TCP listener
       tcp-gb       1 GB on one connection through a TCP listener
       memory-tls   per idle TLS connection, 5,000 of them

flags:
`

// parseOptions reads the command line; messages about it go to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("httpbench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		fmt.Fprint(w, usage)
		flags.PrintDefaults()
	}
	seconds := flags.Float64("seconds", 1.5, "length of each measured `window`")
	cases := flags.String("cases", "all", "the cases to run, `NAMES` with commas between them")
	flags.IntVar(&o.rounds, "rounds", 5, "interleaved `rounds` of each case")
	flags.Func("programs", "measure these alone, `NAMES` with commas between them (default: all that are there)", func(text string) error {
		o.programs = strings.Split(text, ",")
		return nil
	})
	flags.BoolVar(&o.quick, "quick", false, "one round of 1 s windows, to see that all works; its figures mean nothing")
	flags.BoolVar(&o.registryChecks, "registry-checks", false, "in the case registry also probe the 100,000 backends")
	flags.StringVar(&o.evenkeel, "evenkeel", "", "`path` of an Evenkeel binary (default: this tree is built)")
	flags.StringVar(&o.reference, "reference", "", "`name` of the --extra that shows what the machine can do at best: its bounds are printed too")
	flags.Func("extra", "a further program, `'name=COMMAND'` with {listen}, {backends}, {b1} and {b2} for addresses (may be repeated)", func(text string) error {
		e, err := parseExtra(text)
		o.extras = append(o.extras, e)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, *seconds = 1, 1
	}
	o.window = time.Duration(*seconds * float64(time.Second))
	var err error
	o.cases, err = parseCases(*cases)
	return o, errors.Join(err, o.check(flags.Args()))
}

// parseExtra reads NAME=COMMAND.
func parseExtra(text string) (extra, error) {
	name, command, found := strings.Cut(text, "=")
	if !found || name == "" || !strings.Contains(command, "{listen}") {
		return extra{}, fmt.Errorf("read --extra %q: want name=COMMAND with {listen} and {backends} or {b1}, {b2} in it", text)
	}
	return extra{name: name, command: command}, nil
}

// argv is the command with its placeholders filled in, split at blanks.
func (e extra) argv(listen string, backends []string) []string {
	pairs := []string{"{listen}", listen, "{backends}", strings.Join(backends, ",")}
	for i, backend := range backends {
		pairs = append(pairs, fmt.Sprintf("{b%d}", i+1), backend)
	}
	return strings.Fields(strings.NewReplacer(pairs...).Replace(e.command))
}

// parseCases reads names with commas between them, or "all".
func parseCases(text string) ([]string, error) {
	if text == "all" {
		return caseNames(), nil
	}
	wanted := strings.Split(text, ",")
	for _, name := range wanted {
		if !slices.Contains(caseNames(), name) {
			return nil, fmt.Errorf("read --cases: %q is no case; known are %s", name, strings.Join(caseNames(), ", "))
		}
	}
	return slices.DeleteFunc(caseNames(), func(name string) bool { return !slices.Contains(wanted, name) }), nil
}

// check looks for values that make no bench.
func (o options) check(rest []string) error {
	var faults []error
	if len(rest) > 0 {
		faults = append(faults, fmt.Errorf("read arguments: %q is no flag", rest[0]))
	}
	if o.rounds < 1 || o.rounds > 1000 {
		faults = append(faults, fmt.Errorf("read --rounds: %d is not within 1 to 1000", o.rounds))
	}
	if seconds := o.window.Seconds(); math.IsNaN(seconds) || seconds < 0.2 || seconds > 600 {
		faults = append(faults, fmt.Errorf("read --seconds: %v is not within 0.2 to 600", seconds))
	}
	taken := []string{nameEvenkeel, nameHAProxy, nameSplice, nameAuto, nameNginx, nameCaddy}
	for _, e := range o.extras {
		if slices.Contains(taken, e.name) {
			faults = append(faults, fmt.Errorf("read --extra: the name %q is taken", e.name))
		}
		taken = append(taken, e.name)
	}
	for _, name := range o.programs {
		if !slices.Contains(taken, name) {
			faults = append(faults, fmt.Errorf("read --programs: %q is no program; known are %s", name, strings.Join(taken, ", ")))
		}
	}
	if o.reference != "" && !slices.ContainsFunc(o.extras, func(e extra) bool { return e.name == o.reference }) {
		faults = append(faults, fmt.Errorf("read --reference: no --extra is named %q", o.reference))
	}
	return errors.Join(faults...)
}
