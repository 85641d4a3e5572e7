package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

func formatFlagIn(cmd *cobra.Command, flags *pflag.FlagSet) *format {
	f := formatTable
	flags.VarP(&f, "output", "o", "how to print: table, json or yaml")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{string(formatTable), string(formatJSON), string(formatYAML)}, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

// printData prints a JSON document as JSON or YAML, with its fields in the
// order in which the API gave them.
func printData(w io.Writer, f format, document []byte) error {
	if f == formatYAML {
		return printYAML(w, document)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, bytes.TrimSpace(document), "", "  "); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	text.WriteByte('\n')
	_, err := w.Write(text.Bytes())
	return err
}

func printYAML(w io.Writer, document []byte) error {
	var value any
	if err := yaml.UnmarshalWithOptions(document, &value, yaml.UseOrderedMap()); err != nil {
		return fmt.Errorf("print YAML: %w", err)
	}
	node, err := yaml.ValueToNode(value)
	if err != nil {
		return fmt.Errorf("print YAML: %w", err)
	}
	ast.Walk(quoter{}, node)
	// Left are the texts of several lines, which cannot be quoted.
	_, err = fmt.Fprintln(w, strings.Map(func(r rune) rune {
		if r == '\n' || !drives(r) {
			return r
		}
		return '?'
	}, node.String()))
	return err
}

// quoter quotes texts that some readers of YAML take for a number, such as a
// digest 1234e567, and what would drive a terminal.
type quoter struct{}

var numeric = regexp.MustCompile(`^[-+]?\.?[0-9][0-9_.:]*([eE][-+]?[0-9]+)?$`)

// Visit implements [ast.Visitor].
func (q quoter) Visit(node ast.Node) ast.Visitor {
	if text, ok := node.(*ast.StringNode); ok && text.Token.Type == token.StringType &&
		(numeric.MatchString(text.Value) || strings.ContainsFunc(text.Value, func(r rune) bool { return r != '\n' && drives(r) })) {
		text.Token.Type = token.DoubleQuoteType
	}
	return q
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
