package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// maxManifest is how long a manifest may be, in bytes; the API's bound.
const maxManifest = 16 << 20

// manifestFlags are those of what applies a manifest or tries to.
type manifestFlags struct {
	app   *App
	file  string
	apply client.Apply
}

func (a *App) manifestFlags(cmd *cobra.Command) *manifestFlags {
	m := &manifestFlags{app: a}
	fs := cmd.Flags()
	fs.StringVarP(&m.file, "file", "f", "", "the manifest, YAML or JSON; - is the standard input")
	fs.StringVar(&m.apply.Owner, "owner", "", "whose the objects are (default: what the manifest says)")
	fs.BoolVar(&m.apply.Prune, "prune", false, "delete what has the same owner and is not in the manifest")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("owner", cobra.NoFileCompletions)
	return m
}

// read returns the manifest.
func (m *manifestFlags) read() ([]byte, error) {
	if m.file == "" {
		return nil, usage("-f is missing: name the file with the manifest, or - for the standard input")
	}
	input := m.app.In
	if input == nil {
		input = os.Stdin
	}
	if m.file != "-" {
		file, err := os.Open(m.file)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		defer file.Close()
		input = file
	}
	data, err := io.ReadAll(io.LimitReader(input, maxManifest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read manifest: %w", err)
	case len(data) > maxManifest:
		return nil, fmt.Errorf("%s has more than %d bytes: split it", named("manifest", m.file), maxManifest)
	case strings.TrimSpace(string(data)) == "":
		return nil, fmt.Errorf("%s is empty", named("manifest", m.file))
	}
	return data, nil
}

// send applies the manifest.
func (m *manifestFlags) send(cmd *cobra.Command, conn *connection, write client.Write) (*client.Applied, error) {
	manifest, err := m.read()
	if err != nil {
		return nil, err
	}
	c, err := conn.client()
	if err != nil {
		return nil, err
	}
	applied, err := c.Apply(cmd.Context(), manifest, m.apply, write)
	if client.IsInvalid(err) {
		return nil, fmt.Errorf("%s: %w", named("manifest", m.file), err)
	}
	return applied, err
}

func (a *App) applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "make the registry what a file says, all of it or nothing",
		Long: "Create and change objects as a manifest says, YAML or JSON, at one revision or not at all.\n" +
			"What the manifest does not name is left alone, unless --prune is said: then what has the\n" +
			"same owner and is not in it is deleted. Without a change there is no revision.",
		Example: "  evenkeel export > cluster.yaml\n" +
			"  evenkeel diff -f cluster.yaml\n" +
			"  evenkeel apply -f cluster.yaml --confirm-within 60s --reason 'more backends'",
		Args: exactArgs(0),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	m, w := a.manifestFlags(cmd), a.writeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		write, err := w.options()
		if err != nil {
			return err
		}
		applied, err := m.send(cmd, conn, write)
		if err != nil {
			return err
		}
		return a.printApplied(w, *f, applied)
	}
	return cmd
}

// printApplied prints the diff of a write, and tells a person what became of it.
func (a *App) printApplied(w *writing, f format, applied *client.Applied) error {
	if err := printDiff(a.Out, f, &applied.Diff, applied.Body); err != nil {
		return err
	}
	text := fmt.Sprintf("revision %d: %s", applied.Diff.Revision, countChanges(&applied.Diff))
	switch {
	case w.dryRun:
		text = countChanges(&applied.Diff)
	case len(applied.Changes) == 0:
		_, err := fmt.Fprintf(a.Err, "%s, no new revision\n", countChanges(&applied.Diff))
		return err
	}
	if _, err := fmt.Fprintln(a.Err, text); err != nil {
		return err
	}
	if w.confirmWithin > 0 && !w.dryRun {
		if err := w.waits(applied.Diff.Revision); err != nil {
			return err
		}
	}
	outcome := applied.Outcome
	outcome.Revision = applied.Diff.Revision
	return w.report(&outcome)
}

// differs is the outcome of diff that is no failure, and yet not 0.
type differs struct{ text string }

// Error implements error.
func (e *differs) Error() string { return e.text }
func (*differs) exitCode() int   { return ExitError }

// trouble is what kept diff from comparing. It has another exit code than a
// difference, as with diff(1).
type trouble struct{ err error }

// Error implements error.
func (e *trouble) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *trouble) Unwrap() error { return e.err }

func (e *trouble) exitCode() int {
	if code := ExitCode(e.err); code != ExitError {
		return code
	}
	return ExitUsage
}

func (a *App) diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "diff -f FILE", Short: "show what apply would change, and change nothing",
		Long: "Show what apply would change, and change nothing. The exit code is 0 if there is no\n" +
			"difference, 1 if there is one, and another one if they could not be compared.",
		Args: exactArgs(0),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	m := a.manifestFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		applied, err := m.send(cmd, conn, client.Write{DryRun: true})
		if err != nil {
			return &trouble{hinted(err)}
		}
		if err := printDiff(a.Out, *f, &applied.Diff, applied.Body); err != nil {
			return &trouble{err}
		}
		if len(applied.Changes) > 0 {
			return &differs{"the registry is not as the manifest says, and apply would make it so: " + countChanges(&applied.Diff)}
		}
		return nil
	}
	return cmd
}

func (a *App) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "print the registry as a manifest for apply",
		Long: "Print the registry, or the part of it that the flags name, as a manifest. Applied, it\n" +
			"changes nothing. It holds no tokens, and no keys of certificates.",
		Args: exactArgs(0),
	}
	conn := a.connectFlags(cmd, timeout)
	f := formatFlagIn(cmd, cmd.PersistentFlags(), string(formatYAML), string(formatJSON))
	*f = formatYAML
	cmd.PersistentFlags().Lookup("output").DefValue = string(formatYAML)
	cmd.PersistentFlags().Lookup("output").Usage = "how to print: yaml or json"
	fs := cmd.Flags()
	labels := fs.StringArray("label", nil, "only with this label: KEY=VALUE, KEY!=VALUE, KEY or !KEY (repeatable)")
	owner := fs.String("owner", "", "only what has this owner")
	kinds := kindFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *f == formatTable {
			return usage("a manifest is no table: --output must be yaml or json")
		}
		only, err := kinds()
		if err != nil {
			return err
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		manifest, err := c.Export(cmd.Context(), client.Export{JSON: *f == formatJSON, Labels: *labels, Owner: *owner, Kinds: only})
		if err != nil {
			return err
		}
		_, err = a.Out.Write(manifest)
		return err
	}
	return cmd
}

// kindFlag adds --kind for the kinds of a manifest and for more, and returns what reads it.
func kindFlag(cmd *cobra.Command, more ...fsm.Kind) func() ([]fsm.Kind, error) {
	known := []string{string(fsm.KindListener), string(fsm.KindRoute), string(fsm.KindPool), string(fsm.KindBackend), string(fsm.KindCertificate)}
	for _, kind := range more {
		known = append(known, string(kind))
	}
	given := cmd.Flags().StringSlice("kind", nil, "only this kind: "+strings.Join(known, ", ")+" (repeatable)")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
	return func() ([]fsm.Kind, error) {
		var kinds []fsm.Kind
		var wrong []error
		for _, text := range *given {
			kind := strings.TrimSuffix(text, "s")
			if !slices.Contains(known, kind) {
				wrong = append(wrong, fmt.Errorf("--kind %q is not one of %s", text, strings.Join(known, ", ")))
			}
			kinds = append(kinds, fsm.Kind(kind))
		}
		if len(wrong) > 0 {
			return nil, &UsageError{errors.Join(wrong...)}
		}
		return kinds, nil
	}
}
