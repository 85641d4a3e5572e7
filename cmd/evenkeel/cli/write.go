package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// The values of --wait.
const (
	waitLocal = "local"
	waitAll   = "all"
)

// writing holds the flags that every verb has which changes something.
type writing struct {
	app           *App
	dryRun        bool
	reason        string
	wait          string
	waitTimeout   time.Duration
	confirmWithin time.Duration
	key           string
}

// writeFlags adds the flags of a write that makes a revision to a command.
func (a *App) writeFlags(cmd *cobra.Command) *writing {
	w := a.plainWriteFlags(cmd)
	cmd.Flags().DurationVar(&w.confirmWithin, "confirm-within", 0, "the cluster undoes it after this time, 1s to 24h, unless 'evenkeel confirm' is said (default: it stands)")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("confirm-within", cobra.NoFileCompletions)
	return w
}

// plainWriteFlags adds the flags of a write that cannot wait for a confirmation.
func (a *App) plainWriteFlags(cmd *cobra.Command) *writing {
	w := &writing{app: a}
	fs := cmd.Flags()
	fs.BoolVar(&w.dryRun, "dry-run", false, "show what would change, and change nothing")
	fs.StringVar(&w.reason, "reason", "", "why, for people; the history shows it")
	fs.StringVar(&w.wait, "wait", waitLocal, "until when to wait: local, until the asked node has it, or all, until every live node serves it")
	fs.DurationVar(&w.waitTimeout, "wait-timeout", 0, "bound of --wait all, at most 1m (default 10s)")
	fs.StringVar(&w.key, "idempotency-key", "", "a text of your own for this one change; saying it again under the same key makes no second one")
	// The errors are for flags that do not exist.
	_ = cmd.RegisterFlagCompletionFunc("wait", cobra.FixedCompletions([]string{waitLocal, waitAll}, cobra.ShellCompDirectiveNoFileComp))
	for _, name := range []string{"reason", "wait-timeout", "idempotency-key"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return w
}

// options returns what the flags say.
func (w *writing) options() (client.Write, error) {
	switch {
	case w.wait != waitLocal && w.wait != waitAll:
		return client.Write{}, usage(fmt.Sprintf("--wait %q is neither local nor all", w.wait))
	case w.dryRun && w.wait == waitAll:
		return client.Write{}, usage("--dry-run makes nothing that nodes could serve: leave out --wait all")
	case w.waitTimeout != 0 && w.wait != waitAll:
		return client.Write{}, usage("--wait-timeout bounds --wait all, which is not given")
	case w.waitTimeout < 0:
		return client.Write{}, usage(fmt.Sprintf("--wait-timeout %q is no time to wait; give one such as 30s", w.waitTimeout))
	case w.confirmWithin < 0:
		return client.Write{}, usage(fmt.Sprintf("--confirm-within %q is no time to confirm in; give one such as 60s", w.confirmWithin))
	case w.dryRun && w.confirmWithin > 0:
		return client.Write{}, usage("--dry-run makes nothing that could be confirmed: leave out --confirm-within")
	}
	return client.Write{
		DryRun: w.dryRun, Reason: w.reason, Key: w.key,
		WaitAll: w.wait == waitAll, WaitTimeout: w.waitTimeout, ConfirmWithin: w.confirmWithin,
	}, nil
}

// report tells a person what else became of a write. A wait that was in vain is an
// error, though the write stands.
func (w *writing) report(outcome *client.Outcome) error {
	if outcome.Dry != nil || w.dryRun {
		_, err := fmt.Fprintln(w.app.Err, "nothing was changed: it was a dry run")
		return err
	}
	if len(outcome.Lagging) == 0 && outcome.Waited != client.WaitedTimeout {
		return nil
	}
	nodes := "not every node serves it yet"
	if len(outcome.Lagging) > 0 {
		nodes = "not served yet by " + printable(strings.Join(outcome.Lagging, ", "))
	}
	return fmt.Errorf("revision %d is written, and %s: it will be, once they follow", outcome.Revision, nodes)
}

// waits tells a person how to keep a revision that was made with --confirm-within.
func (w *writing) waits(revision uint64) error {
	_, err := fmt.Fprintf(w.app.Err, "revision %d is undone in %s, unless you say: evenkeel confirm %d\n", revision, w.confirmWithin, revision)
	return err
}

// waitsOf does so for the write of one object, whose revision no answer tells; at most
// one revision that waits holds an object.
func (w *writing) waitsOf(ctx context.Context, c *client.Client, object fsm.Ref) error {
	if w.confirmWithin == 0 {
		return nil
	}
	pending, err := c.Pending(ctx)
	if err != nil {
		return fmt.Errorf("%s is written, and which revision is to be confirmed is not known: %s", object, err) // not with its exit code: the write was made
	}
	for _, p := range pending {
		if slices.ContainsFunc(p.Objects, func(change client.Change) bool { return change.Ref() == object }) {
			return w.waits(p.Revision)
		}
	}
	_, err = fmt.Fprintln(w.app.Err, "nothing waits for a confirmation: it was so already")
	return err
}

// finish ends a verb that wrote one object: it prints the object as the write left
// it, or what a dry run would change.
func (v *verbs) finish(cmd *cobra.Command, c *client.Client, w *writing, got *client.Answer) error {
	outcome, err := got.Outcome()
	if err != nil {
		return err
	}
	if outcome.Dry != nil {
		err = printDiff(v.app.Out, *v.format, outcome.Dry, got.Body)
	} else {
		err = v.printAnswer(got)
	}
	if err == nil && outcome.Dry == nil {
		var named struct{ Pool, Name string }
		if err = got.Decode(&named); err == nil {
			err = w.waitsOf(cmd.Context(), c, v.object(ref{named.Pool, named.Name}))
		}
	}
	if err != nil {
		return err
	}
	return w.report(outcome)
}
