package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// kind is one kind of registry object, as the verbs see it.
type kind struct {
	name, plural string // as in the API's paths
	pooled       bool   // its names are unique within a pool only
	short        string
	fields       []field
	// head and row are the table of the kind; row reads one object.
	head []string
	row  func(object []byte) ([]string, error)
	// detail prints what a table of one object has below its row, more what
	// any table has below its rows for each object; both may be nil.
	detail, more func(w io.Writer, object []byte) error
	// extra are verbs that only this kind has.
	extra func(v *verbs) []*cobra.Command
}

// verbs is what the verbs of one kind share.
type verbs struct {
	*kind
	app    *App
	conn   *connection
	format *format
	pool   string
}

// defaultPool is the pool of backends whose pool nobody names.
const defaultPool = "default"

// timeout is longer than the 5 s for which a node repeats a write whose
// outcome it does not know.
const timeout = 15 * time.Second

// kindCommand returns the command of a kind with its verbs below it.
func (a *App) kindCommand(k *kind) *cobra.Command {
	cmd := Group(k.name, k.short)
	v := &verbs{kind: k, app: a, conn: a.connectFlags(cmd, timeout), format: formatFlag(cmd)}
	cmd.AddCommand(v.add(), v.set(), v.list(), v.get(), v.remove())
	if k.extra != nil {
		cmd.AddCommand(k.extra(v)...)
	}
	return cmd
}

// Group returns a command that only holds others.
func Group(name, short string) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	MakeGroup(cmd)
	return cmd
}

// MakeGroup gives a command that only holds others what every such command
// does: it shows its help, and refuses what it does not know. Cobra by itself
// takes an unknown verb of a verb for a call for help.
func MakeGroup(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		message := fmt.Sprintf("%q is no verb of %q", args[0], cmd.CommandPath())
		if guesses := cmd.SuggestionsFor(args[0]); len(guesses) > 0 {
			best := slices.MaxFunc(guesses, func(a, b string) int { return common(a, args[0]) - common(b, args[0]) })
			message += fmt.Sprintf("; did you mean %q?", best)
		}
		return usage(message)
	}
}

// common is how many bytes two texts begin with alike.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// ref is the name of one object.
type ref struct{ pool, name string }

// ref reads the name of an object: POOL/NAME or NAME for a backend, else NAME.
func (v *verbs) ref(text string) (ref, error) {
	pool, name, found := strings.Cut(text, "/")
	switch {
	case !v.pooled:
		pool, name = "", text
	case !found:
		pool, name = v.pool, text
	}
	if name == "" || v.pooled && pool == "" {
		return ref{}, usage(fmt.Sprintf("name %q of a %s is empty", text, v.name))
	}
	return ref{pool, name}, nil
}

func (r ref) String() string {
	if r.pool == "" {
		return r.name
	}
	return r.pool + "/" + r.name
}

// object returns the name of an object as the API has it.
func (v *verbs) object(r ref) fsm.Ref {
	return fsm.Ref{Kind: fsm.Kind(v.name), Pool: r.pool, Name: r.name}
}

// poolFlag adds --pool to verbs of kinds that live in pools. Each verb has a preset
// of its own, so the flag is bound to v only once it is known which verb runs.
func (v *verbs) poolFlag(cmd *cobra.Command, preset, help string) {
	if v.pooled {
		pool := cmd.Flags().String("pool", preset, help)
		cmd.PreRun = func(*cobra.Command, []string) { v.pool = *pool }
		v.conn.completePools(cmd)
	}
}

// exactArgs and minArgs are cobra's, as usage errors.
func exactArgs(n int) cobra.PositionalArgs { return asUsage(cobra.ExactArgs(n)) }
func maxArgs(n int) cobra.PositionalArgs   { return asUsage(cobra.MaximumNArgs(n)) }
func minArgs(n int) cobra.PositionalArgs   { return asUsage(cobra.MinimumNArgs(n)) }

func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &UsageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

// list is an answer of a collection.
type list struct {
	Items    []json.RawMessage `json:"items"`
	Revision uint64            `json:"revision"`
}

// printAnswer prints one object of an answer.
func (v *verbs) printAnswer(got *client.Answer) error {
	if *v.format != formatTable {
		return printData(v.app.Out, *v.format, got.Body)
	}
	if err := v.printRows(got.Body); err != nil || v.detail == nil {
		return err
	}
	return v.detail(v.app.Out, got.Body)
}

func (v *verbs) printRows(objects ...[]byte) error {
	rows := &table{head: v.head}
	for _, object := range objects {
		cells, err := v.row(object)
		if err != nil {
			return fmt.Errorf("read %s of the answer: %w", v.name, err)
		}
		rows.add(cells...)
	}
	if err := rows.print(v.app.Out); err != nil || v.more == nil {
		return err
	}
	for _, object := range objects {
		if err := v.more(v.app.Out, object); err != nil {
			return err
		}
	}
	return nil
}

// complete offers the names of the objects that the API lists. Only rm takes several.
func (v *verbs) complete(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() != "rm" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return v.conn.offer(func(ctx context.Context, c *client.Client) ([]string, error) {
		got, err := c.ListRaw(ctx, fsm.Kind(v.name), "", client.Read{})
		if err != nil {
			return nil, err
		}
		var all items[struct{ Pool, Name string }]
		if err := got.Decode(&all); err != nil {
			return nil, err
		}
		var names []string
		for _, o := range all.Items {
			if name := (ref{o.Pool, o.Name}).String(); !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		return names, nil
	})(cmd, args, prefix)
}

// change reads an object, edits its labels and spec, and writes it back on the
// condition that nobody changed it meanwhile; if somebody did it starts again,
// a few times. The edit touches only what the user named, so that starting
// again loses nobody's change.
func (v *verbs) change(ctx context.Context, c *client.Client, r ref, write client.Write, edit func(*document) error) (*client.Answer, error) {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		before, err := c.GetRaw(ctx, v.object(r), client.Read{})
		if err != nil {
			return nil, err
		}
		doc, err := readDocument(before.Body)
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", v.name, r, err)
		}
		if err := edit(doc); err != nil {
			return nil, err
		}
		write.Revision = doc.revision
		after, err := c.PutRaw(ctx, v.object(r), doc, write)
		if attempt < attempts && client.IsStale(err) && write.Key == "" {
			continue // with a key made up anew
		}
		return after, err
	}
}
