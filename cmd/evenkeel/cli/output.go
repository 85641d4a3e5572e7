package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"evenkeel/httpapi/manifest"
)

// format is how data is printed.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

var _ fmt.Stringer = (*format)(nil)

func (f *format) String() string { return string(*f) }
func (*format) Type() string     { return "FORMAT" }

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	switch format(text) {
	case formatTable, formatJSON, formatYAML:
		*f = format(text)
		return nil
	}
	return errors.New("must be table, json or yaml")
}

// formatFlag adds -o to a command and all below it.
func formatFlag(cmd *cobra.Command) *format { return formatFlagIn(cmd, cmd.PersistentFlags()) }

// ownFormatFlag adds it to the command alone.
func ownFormatFlag(cmd *cobra.Command) *format { return formatFlagIn(cmd, cmd.Flags()) }

// formatFlagIn offers those formats for completion, all of them if none is named.
func formatFlagIn(cmd *cobra.Command, flags *pflag.FlagSet, offered ...string) *format {
	if len(offered) == 0 {
		offered = []string{string(formatTable), string(formatJSON), string(formatYAML)}
	}
	f := formatTable
	flags.VarP(&f, "output", "o", "how to print: table, json or yaml")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(offered, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

// printData prints a JSON document as JSON or YAML, with its fields in the
// order in which the API gave them.
func printData(w io.Writer, f format, document []byte) error {
	if f == formatYAML {
		return manifest.WriteYAML(w, document)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, bytes.TrimSpace(document), "", "  "); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	text.WriteByte('\n')
	_, err := w.Write(text.Bytes())
	return err
}

// printValue prints what this process knows by itself as JSON or YAML.
func (a *App) printValue(f format, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return printData(a.Out, f, text)
}

// table collects rows of cells and prints them in columns.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table. Control characters in cells are replaced, so that no
// text of the registry or of a peer can drive the terminal.
func (t *table) print(w io.Writer) error {
	var text bytes.Buffer
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = printable(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printable replaces what drives a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if drives(r) {
			return '?'
		}
		return r
	}, text)
}

// drives tells what drives a terminal, and what turns the order of the text around
// it or hides in it (Unicode's formats, UAX 9).
func drives(r rune) bool { return !unicode.IsPrint(r) && r != '\u00a0' }
