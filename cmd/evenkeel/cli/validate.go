package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"evenkeel/fsm"
	"evenkeel/httpapi/manifest"
)

func (a *App) validateCommand() *cobra.Command {
	var files []string
	var strict bool
	cmd := &cobra.Command{
		Use: "validate -f FILE", Short: "check files of objects without a cluster",
		Long: "Check manifests, as `evenkeel apply` takes them, without asking a cluster. Every fault is\n" +
			"told with its file, line and column, and the exit code is 1 then.\n\n" +
			"What an object names and no file holds is a warning, since the cluster may hold it; with\n" +
			"--strict it is a fault.",
		Example: "  evenkeel validate -f shop.yaml -f pools.json\n  generate | evenkeel validate -f - --strict",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usage("validate: which file? Say -f FILE, or -f - for the standard input")
			}
			return a.validate(cmd.InOrStdin(), files, strict)
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "a manifest in YAML or JSON, - for the standard input; may be repeated")
	cmd.Flags().BoolVar(&strict, "strict", false, "what an object names must be in the files")
	return cmd
}

func (a *App) validate(stdin io.Reader, files []string, strict bool) error {
	manifests := make([]*manifest.Manifest, len(files))
	faulty := 0
	for i, file := range files {
		data, err := readManifest(stdin, file)
		if err != nil {
			return err
		}
		parsed, faults := manifest.Parse(data, manifest.Options{Format: formatOf(file)})
		manifests[i] = parsed
		faulty += a.printFaults(file, "", faults)
	}
	severity := "warning: "
	if strict {
		severity = ""
	}
	if faulty == 0 {
		unresolved := a.checkReferences(files, manifests, severity)
		if strict {
			faulty = unresolved
		}
	}
	if faulty > 0 {
		return fmt.Errorf("validate %s: %s", strings.Join(files, ", "), count(faulty, "fault"))
	}
	for i, file := range files {
		fmt.Fprintf(a.Err, "%s: ok, %s\n", label(file), count(len(manifests[i].Puts()), "object"))
	}
	return nil
}

// checkReferences prints what an object of one file names and none holds.
func (a *App) checkReferences(files []string, manifests []*manifest.Manifest, severity string) int {
	found := 0
	for i, m := range manifests {
		found += a.printFaults(files[i], severity, m.References(func(ref fsm.Ref) bool {
			for _, other := range manifests {
				if other.Has(ref) {
					return true
				}
			}
			return false
		}))
	}
	return found
}

// printFaults prints each as FILE:LINE:COLUMN: and returns how many there are.
func (a *App) printFaults(file, severity string, faults []manifest.Fault) int {
	for _, fault := range faults {
		text := fault.String()
		place, rest := "", text
		if fault.Line > 0 {
			place = fmt.Sprintf("%d:%d:", fault.Line, fault.Column)
			rest = strings.TrimPrefix(text, place+" ")
		}
		fmt.Fprintf(a.Err, "%s:%s %s%s\n", label(file), place, severity, printable(rest))
	}
	return len(faults)
}

// readManifest returns what a file holds, or as much of it as shows that it is
// too long.
func readManifest(stdin io.Reader, file string) ([]byte, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	data, err := io.ReadAll(io.LimitReader(in, manifest.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return data, nil
}

// formatOf tells the format by a file's name, "" if that says nothing.
func formatOf(file string) manifest.Format {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		return manifest.JSON
	case ".yaml", ".yml":
		return manifest.YAML
	}
	return ""
}

func label(file string) string {
	if file == "-" {
		return "(standard input)"
	}
	return file
}

// named is how a sentence names what was read from a file.
func named(what, file string) string {
	if file == "-" {
		return "the standard input"
	}
	return what + " " + strconv.Quote(file)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
