package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evenkeel/cmd/evenkeel/cli"
	"evenkeel/fsm"
)

func savedRegistry(t *testing.T) string {
	t.Helper()
	s, results := fsm.Apply(fsm.New(), []fsm.Command{
		{ID: fsm.CommandID{Origin: "u1", Seq: 1}, Op: fsm.Init{ClusterID: "c0ffee", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}},
		{ID: fsm.CommandID{Origin: "u1", Seq: 2}, Op: fsm.SetNode{Node: fsm.Node{UID: "u1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}}},
	})
	for _, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	var text bytes.Buffer
	if err := s.WriteSnapshot(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestASnapshotIsSavedWholeOrNotAtAll(t *testing.T) {
	const whole, local = "GET /v1/snapshot?consistency=linearizable", "GET /v1/snapshot"
	saved := savedRegistry(t)
	for name, c := range map[string]struct {
		flags []string
		asked string
		body  string
		code  int
		text  string
	}{
		"it is":       {nil, whole, saved, cli.ExitOK, "revision 1 is saved"},
		"of one node": {[]string{"--local"}, local, saved, cli.ExitOK, "revision 1 is saved"},
		"it is cut":   {nil, whole, saved[:len(saved)-20], cli.ExitError, "did not arrive whole"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := replies()
			answers[c.asked] = []reply{{200, c.body}}
			api := newFakeAPI(t, answers)
			dir := t.TempDir()
			file := filepath.Join(dir, "saved")
			if err := os.WriteFile(file, []byte("before"), 0o644); err != nil {
				t.Fatal(err)
			}
			got := execute(t, map[string]string{"EVENKEEL_API": api.url}, append([]string{"snapshot", "save", file}, c.flags...)...)
			want := "before"
			if c.code == cli.ExitOK {
				want = saved
			}
			has, err := os.ReadFile(file)
			if err != nil || string(has) != want || got.code != c.code || !strings.Contains(got.err, c.text) || got.out != "" || !slices.Equal(api.asked, []string{c.asked}) {
				t.Errorf("exit %d, stdout %q, stderr %q, asked %q, the file has %d bytes, %v", got.code, got.out, got.err, api.asked, len(has), err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("it left %v, %v", left, err)
			}
			if info, err := os.Stat(file); err != nil || c.code == cli.ExitOK && info.Mode().Perm() != 0o600 {
				t.Errorf("others may read it: %v, %v", info.Mode(), err)
			}
		})
	}
	answers := replies()
	answers[whole] = []reply{{200, saved}}
	api := newFakeAPI(t, answers)
	if got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "snapshot", "save", "-"); got.out != saved || got.err != "" {
		t.Errorf("stdout has %d bytes, stderr %q", len(got.out), got.err)
	}
}

func TestASnapshotIsInspected(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saved")
	saved := savedRegistry(t)
	if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	got := execute(t, nil, "snapshot", "inspect", file)
	for _, part := range []string{"c0ffee", "revision", "backends", "n1"} {
		if !strings.Contains(got.out, part) {
			t.Errorf("stdout %q lacks %q", got.out, part)
		}
	}
	if got := execute(t, nil, "snapshot", "inspect", file, "-o", "json"); !strings.Contains(got.out, `"cluster_id": "c0ffee"`) {
		t.Errorf("stdout %q", got.out)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(saved, "n1", "n2", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := execute(t, nil, "snapshot", "inspect", file); got.code != cli.ExitError || !strings.Contains(got.err, "altered or damaged") || !strings.Contains(got.err, file) {
		t.Errorf("exit %d, stderr %q", got.code, got.err)
	}
}

func TestASnapshotIsRestoredWithYesOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saved")
	saved := savedRegistry(t)
	if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := replies()
	answers["PUT /v1/snapshot"] = []reply{{200, `{"revision":7,"objects":3}`}}
	api := newFakeAPI(t, answers)
	env := map[string]string{"EVENKEEL_API": api.url}
	if got := execute(t, env, "snapshot", "restore", file); got.code != cli.ExitUsage || !strings.Contains(got.err, "1 listeners, 1 routes, 1 pools, 0 backends and 0 certificates") || len(api.asked) > 0 {
		t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
	}
	got := execute(t, env, "snapshot", "restore", file, "--yes")
	if got.code != cli.ExitOK || !strings.Contains(got.err, "revision 7 holds") || !slices.Equal(api.asked, []string{"PUT /v1/snapshot " + strings.TrimSpace(saved)}) {
		t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
	}
	if err := os.WriteFile(file, []byte(saved[:50]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := execute(t, env, "snapshot", "restore", file, "--yes"); got.code != cli.ExitError || len(api.asked) != 1 {
		t.Errorf("of a part: exit %d, stderr %q", got.code, got.err)
	}
}

func TestWhatWasSavedAndRestoredIsADocument(t *testing.T) {
	const whole = "GET /v1/snapshot?consistency=linearizable"
	saved := savedRegistry(t)
	answers := replies()
	answers[whole] = []reply{{200, saved}}
	answers["PUT /v1/snapshot"] = []reply{{200, `{"revision":7,"objects":3}`}}
	api := newFakeAPI(t, answers)
	env, file := map[string]string{"EVENKEEL_API": api.url}, filepath.Join(t.TempDir(), "saved")
	got := execute(t, env, "snapshot", "save", file, "-o", "json")
	doc := document[map[string]any](t, got.out)
	if got.code != cli.ExitOK || got.err != "" || doc["file"] != file || doc["bytes"] != float64(len(saved)) || doc["revision"] != 1.0 || doc["cluster_id"] != "c0ffee" || doc["pools"] != 1.0 {
		t.Errorf("exit %d, stderr %q, %v", got.code, got.err, doc)
	}
	got = execute(t, env, "snapshot", "restore", file, "--yes", "-o", "yaml")
	if got.code != cli.ExitOK || got.err != "" || got.out != "revision: 7\nobjects: 3\n" {
		t.Errorf("exit %d, stderr %q, stdout %q", got.code, got.err, got.out)
	}
	before := len(api.asked)
	if got := execute(t, env, "snapshot", "save", "-", "-o", "json"); got.code != cli.ExitUsage || got.out != "" || len(api.asked) != before {
		t.Errorf("exit %d, stderr %q, stdout has %d bytes", got.code, got.err, len(got.out))
	}
}
