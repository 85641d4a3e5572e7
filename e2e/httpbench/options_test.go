package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOptionsAreReadOrRefused(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		want  func(options) bool
		fault string
	}{
		"nothing is all cases, 5 rounds": {nil, func(o options) bool {
			return slices.Equal(o.cases, caseNames()) && o.rounds == 5 && o.window == 1500*time.Millisecond
		}, ""},
		"quick is one round of 1 s": {[]string{"--quick", "--rounds", "7"}, func(o options) bool {
			return o.quick && o.rounds == 1 && o.window == time.Second
		}, ""},
		"cases run in their own order": {[]string{"--cases", "p99,get64"}, func(o options) bool {
			return slices.Equal(o.cases, []string{"get64", "p99"})
		}, ""},
		"an extra program that is the reference": {[]string{"--extra", "x=/bin/x {listen} {b1}", "--reference", "x"}, func(o options) bool {
			return len(o.extras) == 1 && o.extras[0].name == "x" && o.reference == "x"
		}, ""},
		"a case that is none":              {[]string{"--cases", "get64,nonsense"}, nil, `"nonsense" is no case`},
		"no rounds":                        {[]string{"--rounds", "0"}, nil, "--rounds"},
		"a window too short":               {[]string{"--seconds", "0.01"}, nil, "--seconds"},
		"a window that is no number":       {[]string{"--seconds", "NaN"}, nil, "--seconds"},
		"an extra without a command":       {[]string{"--extra", "x"}, nil, "--extra"},
		"an extra that listens nowhere":    {[]string{"--extra", "x=/bin/x"}, nil, "{listen}"},
		"an extra with a name that is had": {[]string{"--extra", "nginx=/bin/x {listen}"}, nil, "is taken"},
		"a reference that is no extra":     {[]string{"--reference", "y"}, nil, "--reference"},
		"some of the programs": {[]string{"--programs", "haproxy,nginx"}, func(o options) bool {
			return slices.Equal(o.programs, []string{"haproxy", "nginx"})
		}, ""},
		"a program that is none":      {[]string{"--programs", "squid"}, nil, `"squid" is no program`},
		"an argument that is no flag": {[]string{"get64"}, nil, "is no flag"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(c.args, io.Discard)
			if c.fault != "" {
				if fault := fmt.Sprint(err); !strings.Contains(fault, c.fault) {
					t.Errorf("fault %q, want one with %q", fault, c.fault)
				}
				return
			}
			if err != nil || !c.want(o) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestPlaceholdersOfAnExtraAreFilledIn(t *testing.T) {
	e := extra{name: "x", command: "env A=1 /bin/x -http {listen}  -backends {b1},{b2} -all {backends}"}
	got := e.argv("127.0.0.1:1", []string{"127.0.0.1:2", "127.0.0.1:3"})
	want := []string{"env", "A=1", "/bin/x", "-http", "127.0.0.1:1", "-backends", "127.0.0.1:2,127.0.0.1:3", "-all", "127.0.0.1:2,127.0.0.1:3"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
