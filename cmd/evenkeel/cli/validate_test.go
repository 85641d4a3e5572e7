package cli_test

import (
	"bytes"
	"encoding/json"
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

// document decodes what a verb printed, which must be all of its output.
func document[T any](t testing.TB, text string) T {
	t.Helper()
	var value T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&value); err != nil || d.More() {
		t.Fatalf("%v: %q", err, text)
	}
	return value
}

type checkedFile struct {
	File             string
	Objects          int
	Faults, Warnings []struct {
		File, Pointer, Message, Code string
		Line, Column                 int
	}
}

func TestWhatWasFoundInFilesIsOneDocument(t *testing.T) {
	type doc struct {
		Valid bool
		Files []checkedFile
	}
	good := manifestFile(t, "good.yaml", "pools:\n- name: web\n")
	loose := manifestFile(t, "loose.yaml", "backends:\n- name: a\n  pool: shop\n  address: 10.0.0.1:80\n")
	bad := manifestFile(t, "bad.yaml", "pools:\n- name: Web\n  wieght: 1\n")

	got := execute(t, nil, "validate", "-f", good, "-f", loose, "-o", "json")
	d := document[doc](t, got.out)
	if got.code != cli.ExitOK || got.err != "" || !d.Valid || len(d.Files) != 2 {
		t.Fatalf("exit %d, stderr %q, %+v", got.code, got.err, d)
	}
	if f := d.Files[0]; f.File != good || f.Objects != 1 || len(f.Faults)+len(f.Warnings) != 0 {
		t.Errorf("%+v", f)
	}
	if f := d.Files[1]; len(f.Faults) != 0 || len(f.Warnings) != 1 || f.Warnings[0].File != loose || f.Warnings[0].Line != 3 || f.Warnings[0].Column != 3 || f.Warnings[0].Pointer != "/backends/0/pool" {
		t.Errorf("%+v", f)
	}
	if strings.Contains(got.out, "null") {
		t.Errorf("a list that is empty is written as null: %s", got.out)
	}

	got = execute(t, nil, "validate", "-f", loose, "--strict", "-o", "json")
	if d = document[doc](t, got.out); got.code != cli.ExitError || d.Valid || len(d.Files[0].Faults) != 1 || len(d.Files[0].Warnings) != 0 {
		t.Errorf("exit %d, %+v", got.code, d)
	}

	got = execute(t, nil, "validate", "-f", bad, "-f", good, "-o", "json")
	d = document[doc](t, got.out)
	if got.code != cli.ExitError || d.Valid || len(d.Files) != 2 || !strings.Contains(got.err, "2 faults") || strings.Contains(got.err, "wieght") {
		t.Fatalf("exit %d, stderr %q, %+v", got.code, got.err, d)
	}
	if f := d.Files[0].Faults; len(f) != 2 || f[0].Pointer != "/pools/0/wieght" || f[0].Line != 3 || f[1].Pointer != "/pools/0/name" || f[1].Message == "" {
		t.Errorf("%+v", f)
	}

	if got = execute(t, nil, "validate", "-f", bad, "-o", "yaml"); got.code != cli.ExitError || !strings.HasPrefix(got.out, "valid: false\nfiles:\n") {
		t.Errorf("exit %d, stdout %q", got.code, got.out)
	}
}
