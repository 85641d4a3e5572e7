package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
			"What an object names and no file holds, such as the key of a certificate, is a warning, since\n" +
			"the cluster may hold it; with --strict it is a fault. With -o json or yaml all that was found is one document on the\n" +
			"standard output, and the exit code is the same.",
		Example: "  evenkeel validate -f shop.yaml -f pools.json\n  generate | evenkeel validate -f - --strict",
		Args:    exactArgs(0),
	}
	f := ownFormatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(files) == 0 {
			return usage("validate: which file? Say -f FILE, or -f - for the standard input")
		}
		return a.validate(cmd.InOrStdin(), files, strict, *f)
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "a manifest in YAML or JSON, - for the standard input; may be repeated")
	cmd.Flags().BoolVar(&strict, "strict", false, "what an object names must be in the files")
	return cmd
}

// validation is what became of the files that were checked.
type validation struct {
	Valid bool            `json:"valid"`
	Files []validatedFile `json:"files"`
}

// validatedFile is what there is to say about one file.
type validatedFile struct {
	File string `json:"file"` // as it was named
	// Objects is how many it holds, 0 if it has faults: what is faulty is not told
	// apart from what is no object.
	Objects  int           `json:"objects"`
	Faults   []placedFault `json:"faults"`
	Warnings []placedFault `json:"warnings"`
}

// placedFault is a fault with the file that has it.
type placedFault struct {
	File string `json:"file"`
	manifest.Fault
}

func (a *App) validate(stdin io.Reader, files []string, strict bool, f format) error {
	checked, err := checkFiles(stdin, files, strict)
	if err != nil {
		return err
	}
	if f == formatTable {
		checked.print(a.Err)
	} else if err := a.printValue(f, checked); err != nil {
		return err
	}
	if checked.Valid {
		return nil
	}
	faults := 0
	for _, file := range checked.Files {
		faults += len(file.Faults)
	}
	return fmt.Errorf("validate %s: %s", strings.Join(files, ", "), count(faults, "fault"))
}

// checkFiles reads all files, and then looks whether what their objects name is in
// one of them.
func checkFiles(stdin io.Reader, files []string, strict bool) (*validation, error) {
	checked := &validation{Valid: true}
	manifests := make([]*manifest.Manifest, len(files))
	for i, file := range files {
		data, err := readManifest(stdin, file)
		if err != nil {
			return nil, err
		}
		parsed, faults := manifest.Parse(data, manifest.Options{Format: formatOf(file), Now: time.Now()})
		one := validatedFile{File: file, Faults: placed(file, faults), Warnings: []placedFault{}}
		if manifests[i] = parsed; parsed != nil {
			one.Objects = len(parsed.Puts())
		}
		checked.add(one)
	}
	if checked.Valid {
		checked.references(manifests, strict)
	}
	return checked, nil
}

func (v *validation) add(file validatedFile) {
	v.Files = append(v.Files, file)
	v.Valid = v.Valid && len(file.Faults) == 0
}

// references adds what an object of one file names and none holds, and which
// certificates come without their keys.
func (v *validation) references(manifests []*manifest.Manifest, strict bool) {
	held := func(ref fsm.Ref) bool {
		return slices.ContainsFunc(manifests, func(m *manifest.Manifest) bool { return m.Has(ref) })
	}
	for i, m := range manifests {
		file := &v.Files[i]
		unresolved := placed(file.File, append(m.References(held), m.Keyless()...))
		if strict {
			file.Faults = unresolved
			v.Valid = v.Valid && len(unresolved) == 0
		} else {
			file.Warnings = unresolved
		}
	}
}

// placed is never nil, so that it is a list in JSON.
func placed(file string, faults []manifest.Fault) []placedFault {
	all := make([]placedFault, len(faults))
	for i, fault := range faults {
		all[i] = placedFault{file, fault}
	}
	return all
}

// print says for people what was found, as compilers do.
func (v *validation) print(w io.Writer) {
	for _, file := range v.Files {
		printFaults(w, "", file.Faults)
		printFaults(w, "warning: ", file.Warnings)
	}
	if !v.Valid {
		return
	}
	for _, file := range v.Files {
		fmt.Fprintf(w, "%s: ok, %s\n", label(file.File), count(file.Objects, "object"))
	}
}

// printFaults prints each as FILE:LINE:COLUMN:.
func printFaults(w io.Writer, severity string, faults []placedFault) {
	for _, fault := range faults {
		text := fault.String()
		place, rest := "", text
		if fault.Line > 0 {
			place = fmt.Sprintf("%d:%d:", fault.Line, fault.Column)
			rest = strings.TrimPrefix(text, place+" ")
		}
		fmt.Fprintf(w, "%s:%s %s%s\n", label(fault.File), place, severity, printable(rest))
	}
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
