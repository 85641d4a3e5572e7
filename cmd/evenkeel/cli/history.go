package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

func (a *App) historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [N [M]]", Short: "show the revisions, what one changed, or what lies between two",
		Long: "Show the newest revisions: when, who, why. With a revision show what it changed, with two\n" +
			"what leads from the first to the second; the second may be current.\n\n" +
			"A cluster remembers the last 4,096 revisions at most. One that it does not has exit code 5.",
		Example: "  evenkeel history\n  evenkeel history 812\n  evenkeel history 800 current",
		Args:    maxArgs(2),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	cmd.ValidArgsFunction = upTo(2, a.completeRevisions(conn))
	var part client.Range
	fs := cmd.Flags()
	fs.IntVar(&part.Limit, "limit", 20, "how many at most")
	fs.Uint64Var(&part.Before, "before", 0, "only those before this revision")
	fs.Uint64Var(&part.After, "after", 0, "only those after this revision")
	fs.StringVar(&part.Name, "name", "", "only those that changed an object of this name")
	fs.StringVar(&part.Pool, "pool", "", "only those that changed a backend of this pool")
	fs.StringVar(&part.Actor, "actor", "", "only those that this actor made")
	conn.completePools(cmd)
	kinds := kindFlag(cmd, fsm.KindToken)
	pending := fs.Bool("pending", false, "only those that wait for their confirmation")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case part.Limit < 1:
			return usage(fmt.Sprintf("--limit %d is no number of revisions; give 1 or more", part.Limit))
		case *pending && len(args) > 0:
			return usage("--pending lists revisions: leave out the number, or the flag")
		}
		numbers, err := revisions(args)
		if err != nil {
			return err
		}
		only, err := kinds()
		switch {
		case err != nil:
			return err
		case len(only) > 1:
			return usage("--kind takes one kind here")
		case len(only) == 1:
			part.Kind = only[0]
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		h := &historyVerb{App: a, cmd: cmd, client: c, format: *f}
		switch {
		case *pending:
			return h.pending()
		case len(numbers) == 0:
			return h.list(part)
		case len(numbers) == 1:
			return h.one(numbers[0])
		}
		return h.between(numbers[0], numbers[1])
	}
	return cmd
}

// revisions reads numbers of revisions; the second one may be "current", which is 0.
func revisions(args []string) ([]uint64, error) {
	var numbers []uint64
	for i, arg := range args {
		n, err := revision(arg)
		if i == 1 && arg == "current" {
			n, err = 0, nil
		}
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func revision(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, usage(fmt.Sprintf("%q is no revision; `evenkeel history` lists them", text))
	}
	return n, nil
}

// historyVerb is one call of history.
type historyVerb struct {
	*App
	cmd    *cobra.Command
	client *client.Client
	format format
}

func (h *historyVerb) list(part client.Range) error {
	got, err := h.client.RevisionsRaw(h.cmd.Context(), part)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	var page client.RevisionPage
	if err := got.Decode(&page); err != nil {
		return err
	}
	rows := &table{head: []string{"REVISION", "TIME", "WHO", "WHAT", "CHANGES", "WHY"}}
	for i := range page.Items {
		r := &page.Items[i]
		rows.add(strconv.FormatUint(r.Revision, 10), r.Time.UTC().Format(time.RFC3339), r.Actor, describeKind(r), describeObjects(r.Objects, r.Count), r.Reason)
	}
	return rows.print(h.Out)
}

// describeObjects names the first of the objects that a revision changed, as
// "~ pool shop and 4 more".
func describeObjects(objects []client.Change, count int) string {
	if len(objects) == 0 {
		return strconv.Itoa(count)
	}
	text := mark(objects[0].Action) + " " + objects[0].Ref().String()
	if count > 1 {
		text += fmt.Sprintf(" and %d more", count-1)
	}
	return text
}

// describeKind is what made a revision, such as "undo of 12".
func describeKind(r *client.Revision) string {
	what := r.Kind
	if r.Undoes > 0 {
		what = fmt.Sprintf("%s of %d", r.Kind, r.Undoes)
	}
	if r.Unconfirmed {
		what += ", unconfirmed"
	}
	return what
}

func (h *historyVerb) pending() error {
	got, err := get(h.cmd.Context(), h.client, "/v1/pending", nil)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	var page struct {
		Items []client.Pending `json:"items"`
	}
	if err := got.Decode(&page); err != nil {
		return err
	}
	rows := &table{head: []string{"REVISION", "TIME", "WITHIN", "WHO", "CHANGES", "WHY"}}
	for _, p := range page.Items {
		rows.add(strconv.FormatUint(p.Revision, 10), p.Time.UTC().Format(time.RFC3339), p.Within, p.Actor, describeObjects(p.Objects, p.Count), p.Reason)
	}
	return rows.print(h.Out)
}

func (h *historyVerb) one(n uint64) error {
	got, err := h.client.RevisionRaw(h.cmd.Context(), n)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	var r client.Revision
	if err := got.Decode(&r); err != nil {
		return err
	}
	head := fmt.Sprintf("revision %d, %s, %s by %s", r.Revision, r.Time.UTC().Format(time.RFC3339), describeKind(&r), r.Actor)
	if r.Reason != "" {
		head += ": " + r.Reason
	}
	if _, err := fmt.Fprintln(h.Out, printable(head)); err != nil {
		return err
	}
	return printDiff(h.Out, h.format, &client.Diff{Changes: r.Changes, LeftOff: max(r.LeftOff, r.Count-len(r.Changes))}, nil)
}

func (h *historyVerb) between(from, to uint64) error {
	diff, err := h.client.DiffRevisions(h.cmd.Context(), from, to)
	if err != nil {
		return err
	}
	return printDiff(h.Out, h.format, &diff.Diff, diff.Body)
}

func (a *App) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback N", Short: "make the registry what it was at a revision, as a new one",
		Long: "Make the registry what it was at a revision, as a new revision: nothing is forgotten, and\n" +
			"a rollback can be rolled back. --dry-run shows what would change.",
		Args: exactArgs(1),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	cmd.ValidArgsFunction = upTo(1, a.completeRevisions(conn))
	w := a.writeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := w.options()
		if err != nil {
			return err
		}
		n, err := revision(args[0])
		if err != nil {
			return err
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		applied, err := c.Rollback(cmd.Context(), n, write)
		if err != nil {
			return err
		}
		return a.printApplied(w, *f, applied)
	}
	return cmd
}

func (a *App) confirmCommand() *cobra.Command {
	return a.decisionCommand("confirm", "keep what a revision changed that waits for its confirmation", "revision %d stays\n", (*client.Client).Confirm)
}

func (a *App) undoCommand() *cobra.Command {
	return a.decisionCommand("undo", "take back now what a revision changed that waits for its confirmation", "revision %d is undone\n", (*client.Client).Undo)
}

// decide is what ends the wait for a confirmation.
type decide func(c *client.Client, ctx context.Context, n uint64, write client.Write) (*client.Applied, error)

func (a *App) decisionCommand(use, short, done string, send decide) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " N", Short: short,
		Long: "The number is that of the revision, which what was written with --confirm-within told;\n`evenkeel history --pending` lists those that wait.",
		Args: exactArgs(1),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	cmd.ValidArgsFunction = upTo(1, a.completePending(conn))
	w := a.plainWriteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := w.options()
		if err != nil {
			return err
		}
		n, err := revision(args[0])
		if err != nil {
			return err
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		applied, err := send(c, cmd.Context(), n, write)
		if err != nil {
			return err
		}
		if err := printDiff(a.Out, *f, &applied.Diff, applied.Body); err != nil {
			return err
		}
		if !w.dryRun {
			if _, err := fmt.Fprintf(a.Err, done, n); err != nil {
				return err
			}
		}
		return w.report(&applied.Outcome)
	}
	return cmd
}

// completeRevisions offers the newest revisions, with who made them and why.
func (a *App) completeRevisions(conn *connection) cobra.CompletionFunc {
	return conn.offer(func(ctx context.Context, c *client.Client) ([]string, error) {
		page, err := c.Revisions(ctx, client.Range{Limit: 50})
		if err != nil {
			return nil, err
		}
		var offers []string
		for i := range page.Items {
			r := &page.Items[i]
			offers = append(offers, offer(r.Revision, describeKind(r)+" by "+r.Actor, r.Reason))
		}
		return offers, nil
	})
}

// completePending offers the revisions that wait for their confirmation.
func (a *App) completePending(conn *connection) cobra.CompletionFunc {
	return conn.offer(func(ctx context.Context, c *client.Client) ([]string, error) {
		pending, err := c.Pending(ctx)
		if err != nil {
			return nil, err
		}
		var offers []string
		for _, p := range pending {
			offers = append(offers, offer(p.Revision, "by "+p.Actor, p.Reason))
		}
		return offers, nil
	})
}

// offer is a revision with its description, as cobra wants it.
func offer(revision uint64, what, reason string) string {
	if reason != "" {
		what += ": " + reason
	}
	return cobra.CompletionWithDesc(strconv.FormatUint(revision, 10), printable(what))
}
