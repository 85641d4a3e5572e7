// Package evenkeel_test holds the layout of the module to its map: which
// package may import which (ARCHITECTURE.md explains why).
package evenkeel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "evenkeel"

// edges tells, for each area (the first folder of a package's path), which
// other areas its packages may import. Packages of one area may import each
// other.
var edges = map[string][]string{
	"":         {}, // the module's root: this test
	"cmd":      {"balancer", "client", "cluster", "fsm", "health", "httpapi"},
	"fsm":      {},
	"cluster":  {"fsm"},
	"balancer": {"fsm"},
	"health":   {"fsm"},
	"httpapi":  {"cluster", "fsm"},
	"client":   {"fsm"},
	"examples": {"client", "fsm"},
	"e2e":      {}, // it knows the binary alone
	"internal": {}, // what tests of several areas need, see shared
}

// shared are packages for tests: those of every area may import them, and of
// what is no test only e2e.
var shared = []string{module + "/internal/freeport"}

// reserved lists what one area alone may import, tests included.
var reserved = map[string]string{
	"github.com/hashicorp/raft":        "cluster",
	"github.com/hashicorp/raft-boltdb": "cluster",
	"github.com/hashicorp/memberlist":  "cluster",
	"go.etcd.io/bbolt":                 "cluster",
}

// impure are packages that would make a replica's state depend on more than
// its commands. Their sub-packages are impure too, but for those of pure.
var (
	impure = []string{"os", "net", "log", "math/rand", "crypto/rand", "syscall", "golang.org/x/sys", "io/ioutil"}
	pure   = []string{"net/netip", "net/url"}
)

// vague are folder names that say nothing about what a package owns.
var vague = []string{"util", "utils", "common", "helper", "helpers", "manager", "pkg", "misc", "lib"}

// importer is what `go list` tells of one package.
type importer struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	CgoFiles     []string
}

func TestEveryImportIsAnEdgeOfTheMap(t *testing.T) {
	packages := list(t)
	if len(packages) < 2 {
		t.Fatalf("go list ./...: found %d packages, want the whole module", len(packages))
	}
	for _, fault := range layoutFaults(packages) {
		t.Error(fault)
	}
}

func TestTheStateMachineReadsNoClock(t *testing.T) {
	err := filepath.WalkDir("fsm", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		faults, err := clockFaults(name, source)
		for _, fault := range faults {
			t.Error(fault)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPlantedEdgeIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		planted importer
		want    []string
	}{
		"the edges of the map are allowed": {
			planted: importer{ImportPath: "evenkeel/cmd/evenkeel", Imports: []string{"evenkeel/fsm", "evenkeel/cluster", "evenkeel/httpapi", "os"}},
		},
		"an area may import its own packages": {
			planted: importer{ImportPath: "evenkeel/balancer", Imports: []string{"evenkeel/balancer/table", "net/http"}},
		},
		"an external test may import its own package": {
			planted: importer{ImportPath: "evenkeel/fsm", XTestImports: []string{"evenkeel/fsm", "os", "testing"}},
		},
		"the state machine imports nothing of ours": {
			planted: importer{ImportPath: "evenkeel/fsm", Imports: []string{"evenkeel/cluster"}},
			want:    []string{"evenkeel/fsm imports evenkeel/cluster: fsm may import no other area"},
		},
		"the state machine stays pure": {
			planted: importer{ImportPath: "evenkeel/fsm/codec", Imports: []string{"net", "net/netip", "net/http", "math/rand/v2", "log/slog", "os"}},
			want: []string{
				"evenkeel/fsm/codec imports net: the state machine owns no file, socket, randomness or log",
				"evenkeel/fsm/codec imports net/http: the state machine owns no file, socket, randomness or log",
				"evenkeel/fsm/codec imports math/rand/v2: the state machine owns no file, socket, randomness or log",
				"evenkeel/fsm/codec imports log/slog: the state machine owns no file, socket, randomness or log",
				"evenkeel/fsm/codec imports os: the state machine owns no file, socket, randomness or log",
			},
		},
		"the data plane knows no consensus": {
			planted: importer{ImportPath: "evenkeel/balancer/table", Imports: []string{"github.com/hashicorp/raft"}},
			want:    []string{"evenkeel/balancer/table imports github.com/hashicorp/raft: only cluster may"},
		},
		"a test is held to the same edges": {
			planted: importer{ImportPath: "evenkeel/health", TestImports: []string{"evenkeel/balancer"}, XTestImports: []string{"github.com/hashicorp/raft-boltdb/v2"}},
			want: []string{
				"evenkeel/health imports evenkeel/balancer: health may import fsm",
				"evenkeel/health imports github.com/hashicorp/raft-boltdb/v2: only cluster may",
			},
		},
		"the end-to-end tests know the binary alone": {
			planted: importer{ImportPath: "evenkeel/e2e", XTestImports: []string{"evenkeel/e2e/harness", "evenkeel/fsm"}},
			want:    []string{"evenkeel/e2e imports evenkeel/fsm: e2e may import no other area"},
		},
		"the tests of every area share packages that no area has": {
			planted: importer{ImportPath: "evenkeel/cluster", Imports: []string{"evenkeel/internal/freeport"}, TestImports: []string{"evenkeel/internal/freeport"}},
			want:    []string{"evenkeel/cluster imports evenkeel/internal/freeport: cluster may import fsm"},
		},
		"nothing may import the binary": {
			planted: importer{ImportPath: "evenkeel/httpapi", Imports: []string{"evenkeel/cmd/evenkeel/config"}},
			want:    []string{"evenkeel/httpapi imports evenkeel/cmd/evenkeel/config: httpapi may import cluster, fsm"},
		},
		"a folder off the map is named": {
			planted: importer{ImportPath: "evenkeel/gadgets"},
			want:    []string{"evenkeel/gadgets: the map has no folder \"gadgets\""},
		},
		"a folder name says what it owns": {
			planted: importer{ImportPath: "evenkeel/cluster/helpers"},
			want:    []string{"evenkeel/cluster/helpers: the folder name \"helpers\" says nothing"},
		},
		"cgo is refused": {
			planted: importer{ImportPath: "evenkeel/balancer", CgoFiles: []string{"fast.go"}},
			want:    []string{"evenkeel/balancer: fast.go uses cgo"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, layoutFaults([]importer{c.planted})); diff != "" {
				t.Error("faults (-want +got):\n" + diff)
			}
		})
	}
}

func TestAPlantedClockIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"spans and formats of time are pure":  {source: `package p; import "time"; var d = 2 * time.Second; var l = time.RFC3339`},
		"another package's Now is no clock":   {source: `package p; import "example.com/time2"; var now = time2.Now`},
		"the clock is caught":                 {source: `package p; import "time"; var now = time.Now()`, want: []string{"p.go:1:37: time.Now reads the clock"}},
		"the clock as a value is caught":      {source: `package p; import "time"; var now = time.Now`, want: []string{"p.go:1:37: time.Now reads the clock"}},
		"a renamed import hides no clock":     {source: `package p; import t "time"; var now = t.Since`, want: []string{"p.go:1:39: time.Since reads the clock"}},
		"a dot import is caught by its shape": {source: `package p; import . "time"; var now = Now()`, want: []string{"p.go:1:19: a dot import of time hides the clock"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := clockFaults("p.go", []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error("faults (-want +got):\n" + diff)
			}
		})
	}
}

// layoutFaults names every import and folder that the map does not allow.
func layoutFaults(packages []importer) []string {
	var faults []string
	for _, p := range packages {
		faults = append(faults, folderFaults(p)...)
		for _, imported := range p.Imports {
			if within(imported, shared) && area(p.ImportPath) == "e2e" {
				continue
			}
			faults = append(faults, importFaults(p.ImportPath, imported)...)
			if area(p.ImportPath) == "fsm" && within(imported, impure) && !within(imported, pure) {
				faults = append(faults, p.ImportPath+" imports "+imported+": the state machine owns no file, socket, randomness or log")
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if within(imported, shared) {
				continue
			}
			faults = append(faults, importFaults(p.ImportPath, imported)...)
		}
		for _, file := range p.CgoFiles {
			faults = append(faults, p.ImportPath+": "+file+" uses cgo")
		}
	}
	return faults
}

func folderFaults(p importer) []string {
	if _, known := edges[area(p.ImportPath)]; !known {
		return []string{fmt.Sprintf("%s: the map has no folder %q", p.ImportPath, area(p.ImportPath))}
	}
	for folder := range strings.SplitSeq(p.ImportPath, "/") {
		if slices.Contains(vague, folder) {
			return []string{fmt.Sprintf("%s: the folder name %q says nothing", p.ImportPath, folder)}
		}
	}
	return nil
}

func importFaults(importer, imported string) []string {
	from := area(importer)
	for library, owner := range reserved {
		if within(imported, []string{library}) && from != owner {
			return []string{importer + " imports " + imported + ": only " + owner + " may"}
		}
	}
	if !within(imported, []string{module}) || area(imported) == from || slices.Contains(edges[from], area(imported)) {
		return nil
	}
	allowed := "no other area"
	if len(edges[from]) > 0 {
		allowed = strings.Join(edges[from], ", ")
	}
	return []string{importer + " imports " + imported + ": " + from + " may import " + allowed}
}

// area is the first folder of a package of this module.
func area(importPath string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/"), "/")
	return first
}

// within tells whether a package is one of the roots or below one.
func within(importPath string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return importPath == root || strings.HasPrefix(importPath, root+"/")
	})
}

// clocks are the functions of package time whose result depends on when they
// are called.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// clockFaults names every use of the clock in one source file.
func clockFaults(name string, source []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var faults []string
	alias := ""
	for _, spec := range file.Imports {
		switch {
		case spec.Path.Value != `"time"`:
		case spec.Name == nil:
			alias = "time"
		case spec.Name.Name == ".":
			faults = append(faults, files.Position(spec.Pos()).String()+": a dot import of time hides the clock")
		default:
			alias = spec.Name.Name
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || !slices.Contains(clocks, selector.Sel.Name) {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && alias != "" && from.Name == alias {
			faults = append(faults, files.Position(selector.Pos()).String()+": time."+selector.Sel.Name+" reads the clock")
		}
		return true
	})
	return faults, nil
}

// list asks the go command for the packages of the module. cgo is on, because
// with it off the files that use it would not be listed at all.
func list(t testing.TB) []importer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,CgoFiles", "./...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list ./...: %v\n%s", err, stderr.Bytes())
	}
	var packages []importer
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p importer
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list ./...: %v", err)
		}
		packages = append(packages, p)
	}
}
