package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/e2e/harness"
)

// helpLine is one flag in the output of --help: its name and argument, and
// after two blanks or more what it means.
var helpLine = regexp.MustCompile(`^ +(--\S+(?: \S+)*)  +(\S.*)$`)

// readmeLine is one flag in the README's table.
var readmeLine = regexp.MustCompile("^\\| `(--[^`]+)` \\| (.*) \\|$")

func TestTheREADMEsTableOfFlagsIsWhatServeSays(t *testing.T) {
	help, err := exec.Command(harness.Binary(t), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := flagLines(string(help), helpLine)
	want = slices.DeleteFunc(want, func(line string) bool { return strings.Contains(line, "help for serve") })
	if len(want) < 10 {
		t.Fatalf("serve --help shows %d flags:\n%s", len(want), help)
	}
	got := flagLines(string(readme), readmeLine)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md's table (+) and `evenkeel serve --help` (-) differ:\n%s\nthe table should be:\n%s", diff, table(want))
	}
}

// flagLines returns the lines that match, as flag and meaning.
func flagLines(text string, pattern *regexp.Regexp) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if m := pattern.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			lines = append(lines, m[1]+"\t"+strings.NewReplacer("`", "", `\|`, "|").Replace(m[2]))
		}
	}
	return lines
}

func table(lines []string) string {
	var out strings.Builder
	for _, line := range lines {
		flag, meaning, _ := strings.Cut(line, "\t")
		out.WriteString("| `" + flag + "` | " + strings.ReplaceAll(meaning, "|", `\|`) + " |\n")
	}
	return out.String()
}
