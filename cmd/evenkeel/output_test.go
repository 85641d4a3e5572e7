package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"evenkeel/cmd/evenkeel/cli"
)

// formless are the verbs without -o, each with what it prints instead.
var formless = map[string]string{
	"":                        "shows its help",
	"completion":              "shows its help",
	"completion bash":         "a script of that shell",
	"completion fish":         "a script of that shell",
	"completion powershell":   "a script of that shell",
	"completion zsh":          "a script of that shell",
	"demo":                    "a show for a person, until it is interrupted",
	"healthcheck":             "its exit code is its result, as Docker takes it",
	"help":                    "a text for people",
	"members promote":         "nothing but a word to a person that it is done",
	"members remove":          "nothing but a word to a person that it is done",
	"members transfer-leader": "nothing but a word to a person that it is done",
	"recover":                 "a talk with a person about what may be lost",
	"sample-backend":          "a process, whose log is all that it prints",
	"secret":                  "the line that a secret's file is to have, and no other form of it is taken",
	"serve":                   "a process, whose log is all that it prints",
	"snapshot":                "shows its help",
}

// unlike are the verbs whose -o offers other formats than table, JSON and YAML.
var unlike = map[string][]string{"export": {"yaml", "json"}} // a manifest is no table

func TestEveryVerbThatPrintsResultsHasItsFormats(t *testing.T) {
	all := []string{"table", "json", "yaml"}
	found := map[string]bool{}
	root := newRoot(&bytes.Buffer{}, &bytes.Buffer{})
	root.InitDefaultHelpCmd()
	walk(root, func(cmd *cobra.Command) {
		name := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "evenkeel"), " ")
		found[name] = true
		flag := cmd.Flag("output")
		switch why, formless := formless[name]; {
		case formless && flag != nil:
			t.Errorf("%q has -o, and is said to print %s", name, why)
		case formless:
		case flag == nil || flag.Shorthand != "o":
			t.Errorf("%q has no -o: give it one, or say why it needs none", name)
		default:
			want := all
			if unlike[name] != nil {
				want = unlike[name]
			}
			if offered := completions(t, append(strings.Fields(name), "-o", "")...); !slices.Equal(offered, want) {
				t.Errorf("%q -o is completed to %q, want %q", name, offered, want)
			}
			var out, errOut bytes.Buffer
			args := append(strings.Fields(name), "-o", "xml")
			if code := run(context.Background(), args, &out, &errOut); code != cli.ExitUsage || out.Len() > 0 || !strings.Contains(errOut.String(), "must be table, json or yaml") {
				t.Errorf("%q -o xml: exit %d, stdout %q, stderr %q", name, code, out.String(), errOut.String())
			}
		}
	})
	for name := range formless {
		if !found[name] {
			t.Errorf("there is no verb %q", name)
		}
	}
}

// walk calls do for a command that can be run, and for all below it.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	if cmd.Runnable() {
		do(cmd)
	}
	for _, below := range cmd.Commands() {
		walk(below, do)
	}
}

// completions are what a shell would offer at the end of a command line.
func completions(t testing.TB, args ...string) []string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(context.Background(), append([]string{cobra.ShellCompNoDescRequestCmd}, args...), &out, &errOut); code != cli.ExitOK {
		t.Fatalf("complete %q: exit %d: %s", args, code, errOut.String())
	}
	var offered []string
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, ":") {
			offered = append(offered, line)
		}
	}
	return offered
}
