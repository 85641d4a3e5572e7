package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"evenkeel/cmd/evenkeel/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitCodesOfCommandLines(t *testing.T) {
	tests := map[string]struct {
		line     string
		code     int
		out, err string // parts
	}{
		"no verb shows the help":             {"", cli.ExitOK, "Available Commands", ""},
		"help is data":                       {"serve --help", cli.ExitOK, "--bootstrap-expect N", ""},
		"the version as a flag":              {"--version", cli.ExitOK, "evenkeel version ", ""},
		"the version as a verb":              {"version", cli.ExitOK, "evenkeel ", ""},
		"an unknown verb":                    {"serv", cli.ExitUsage, "", `"serv" is no verb of "evenkeel"; did you mean "serve"?`},
		"an unknown flag":                    {"serve --foo", cli.ExitUsage, "", "unknown flag: --foo\nsee: evenkeel serve --help"},
		"an argument too many":               {"serve now", cli.ExitUsage, "", "see: evenkeel serve --help"},
		"an unknown shell":                   {"completion tcsh", cli.ExitUsage, "", "see: evenkeel completion --help"},
		"a format that does not exist":       {"status -o xml", cli.ExitUsage, "", "must be table, json or yaml"},
		"faulty options":                     {"serve --profile wild --log-level loud", cli.ExitUsage, "", "2 faults"},
		"a node that is not there":           {"status --api 127.0.0.1:1", cli.ExitError, "", "nothing listens there"},
		"a recovery of nothing":              {"recover", cli.ExitUsage, "", "--data-dir is missing"},
		"a recovery of what is no node":      {"recover --data-dir testdata", cli.ExitError, "", "not the data directory of a node"},
		"a sample backend without its port":  {"sample-backend --addr 127.0.0.1:x", cli.ExitError, "", `listen for sample backend "sample"`},
		"completion of a shell":              {"completion zsh", cli.ExitOK, "#compdef evenkeel", ""},
		"the hidden verb is not in the help": {"help", cli.ExitOK, "demo", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := run(context.Background(), strings.Fields(test.line), &out, &errOut)
			if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errOut.String(), test.err) {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit %d, %q and %q", code, out.String(), errOut.String(), test.code, test.out, test.err)
			}
			if strings.Contains(out.String(), "sample-backend ") {
				t.Error("the help shows a hidden verb")
			}
			if code != cli.ExitOK && out.Len() > 0 {
				t.Errorf("an error put %q to stdout", out.String())
			}
		})
	}
}
