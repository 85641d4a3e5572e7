package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/cmd/evenkeel/cli"
)

func manifestFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesAreCheckedWithoutACluster(t *testing.T) {
	const pool, backend = "pools:\n- name: web\n", "backends:\n- name: a\n  pool: web\n  address: 10.0.0.1:80\n"
	for name, c := range map[string]struct {
		file, text string
		args       []string
		code       int
		want       []string // lines behind "FILE:", "" at the end for the summary
	}{
		"a good file":         {"a.yaml", pool + backend, nil, cli.ExitOK, []string{" ok, 2 objects"}},
		"a good file of JSON": {"a.json", `{"kind": "pool", "name": "p"}`, []string{"--strict"}, cli.ExitOK, []string{" ok, 1 object"}},
		"faults, all of them": {
			"a.yaml", "pools:\n- name: Web\n  wieght: 1\n", nil, cli.ExitError,
			[]string{`3:3: /pools/0/wieght: "wieght" is not a known field`, `2:3: /pools/0/name: "Web" is not a DNS label`},
		},
		"a tab":             {"a.yml", "pools:\n\t- name: web", nil, cli.ExitError, []string{"2:1: a tab in the indentation: use spaces"}},
		"JSON that is none": {"a.json", pool, nil, cli.ExitError, []string{"1:1: invalid character 'p'"}},
		"nothing":           {"a.yaml", "", nil, cli.ExitError, []string{" the manifest is empty"}},
		"a name that no object has": {
			"a.yaml", backend, nil, cli.ExitOK,
			[]string{"3:3: warning: /backends/0/pool: pool web does not exist", " ok, 1 object"},
		},
		"a name that no object has, strictly": {
			"a.yaml", backend, []string{"--strict"}, cli.ExitError, []string{"3:3: /backends/0/pool: pool web does not exist"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := manifestFile(t, c.file, c.text)
			got := execute(t, nil, append([]string{"validate", "-f", path}, c.args...)...)
			lines := strings.Split(strings.TrimSuffix(got.err, "\n"), "\n")
			if c.code != cli.ExitOK {
				lines = lines[:len(lines)-1]
			}
			ok := got.code == c.code && got.out == "" && len(lines) == len(c.want)
			for i := 0; ok && i < len(lines); i++ {
				ok = strings.HasPrefix(lines[i], path+":"+c.want[i])
			}
			if !ok {
				t.Errorf("exit code %d, output %q, errors:\n%s", got.code, got.out, got.err)
			}
		})
	}
}

func TestAFileMayNameWhatAnotherOneHolds(t *testing.T) {
	pools := manifestFile(t, "pools.yaml", "pools: [{name: web}]")
	backends := manifestFile(t, "backends.yaml", "backends: [{name: a, pool: web, address: 'a:1'}]")
	if got := execute(t, nil, "validate", "-f", backends, "-f", pools, "--strict"); got.code != cli.ExitOK {
		t.Error(got.err)
	}
}

func TestTheStandardInputIsChecked(t *testing.T) {
	var errOut bytes.Buffer
	app := &cli.App{Err: &errOut}
	root := cli.Group("evenkeel", "")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.AddCommand(app.Commands()...)
	root.SetIn(strings.NewReader("pools: [{name: 1}]"))
	root.SetArgs([]string{"validate", "-f", "-"})
	if err := root.Execute(); cli.ExitCode(err) != cli.ExitError || !strings.HasPrefix(errOut.String(), "(standard input):1:10: /pools/0/name: 1 is a number, must be a string: put it in quotes\n") {
		t.Errorf("%v, %q", err, errOut.String())
	}
}

func TestWithoutAFileNothingIsChecked(t *testing.T) {
	if got := execute(t, nil, "validate"); got.code != cli.ExitUsage {
		t.Errorf("exit code %d: %s", got.code, got.err)
	}
	if got := execute(t, nil, "validate", "-f", "/nowhere/at.all"); got.code != cli.ExitError || !strings.Contains(got.err, "/nowhere/at.all") {
		t.Errorf("exit code %d: %s", got.code, got.err)
	}
}
