package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// overrideVerb puts an operator's word in place of the verdict.
func (v *verbs) overrideVerb() *cobra.Command {
	group := Group("override", "say that a backend is up or down, whatever its probes say")
	group.AddCommand(
		v.overrideTo("up", "use a backend whatever its probes say"),
		v.overrideTo("down", "do without a backend whatever its probes say"),
		v.overrideClear(),
	)
	return group
}

func (v *verbs) overrideTo(health, short string) *cobra.Command {
	cmd := &cobra.Command{Use: health + " NAME", Short: short, Args: exactArgs(1), ValidArgsFunction: v.complete}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	span := cmd.Flags().String("for", "", "how long, such as 10m (default: until it is cleared)")
	w := v.app.plainWriteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		override := client.Override{Health: fsm.Health(health), For: *span, Reason: w.reason}
		c, got, err := v.sendOverride(cmd, w, args[0], func(c *client.Client, r ref, write client.Write) (*client.Answer, error) {
			return c.Override(cmd.Context(), r.pool, r.name, override, write)
		})
		if err != nil {
			return err
		}
		return v.finish(cmd, c, w, got)
	}
	return cmd
}

func (v *verbs) overrideClear() *cobra.Command {
	cmd := &cobra.Command{Use: "clear NAME", Short: "go by the verdict again", Args: exactArgs(1), ValidArgsFunction: v.complete}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	w := v.app.plainWriteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, got, err := v.sendOverride(cmd, w, args[0], func(c *client.Client, r ref, write client.Write) (*client.Answer, error) {
			return c.ClearOverride(cmd.Context(), r.pool, r.name, write)
		})
		switch {
		case err != nil:
			return err
		case w.dryRun:
			return v.finish(cmd, c, w, got)
		}
		r, err := v.ref(args[0])
		if err != nil {
			return err
		}
		outcome, err := v.gone(got, r, client.ActionUpdate, fmt.Sprintf("backend %s goes by its verdict\n", args[0]))
		if err != nil {
			return err
		}
		return w.report(outcome)
	}
	return cmd
}

func (v *verbs) sendOverride(cmd *cobra.Command, w *writing, name string, send func(*client.Client, ref, client.Write) (*client.Answer, error)) (*client.Client, *client.Answer, error) {
	write, err := w.options()
	if err != nil {
		return nil, nil, err
	}
	r, err := v.ref(name)
	if err != nil {
		return nil, nil, err
	}
	c, err := v.conn.client()
	if err != nil {
		return nil, nil, err
	}
	write.Reason = "" // the override itself has it
	got, err := send(c, r, write)
	return c, got, err
}
