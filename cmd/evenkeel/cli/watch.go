package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
	"evenkeel/httpapi/manifest"
)

func (a *App) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch", Short: "show each change of the registry as it is made",
		Long: "Show each change of the registry as it is made, until it is interrupted. When a node dies\n" +
			"the watch goes on at the next one, and misses nothing.\n\n" +
			"With -o json there is a line of JSON per change. A revision that is too old to go on\n" +
			"from has exit code 5: take --snapshot, which begins with all objects.",
		Example: "  evenkeel watch --kind backend\n  evenkeel watch --since 812 -o json | jq .name",
		Args:    exactArgs(0),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	var w client.Watch
	fs := cmd.Flags()
	fs.Uint64Var(&w.Since, "since", 0, "begin with what came after this revision (default: now)")
	fs.BoolVar(&w.Snapshot, "snapshot", false, "begin with all objects as they are")
	fs.StringVar(&w.Name, "name", "", "only objects of this name")
	fs.StringVar(&w.Pool, "pool", "", "only backends of this pool")
	fs.StringArrayVar(&w.Labels, "label", nil, "only with this label: KEY=VALUE, KEY!=VALUE, KEY or !KEY (repeatable)")
	conn.completePools(cmd)
	kinds := kindFlag(cmd, fsm.KindToken)
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("since", a.completeRevisions(conn))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if w.Snapshot && w.Since > 0 {
			return usage("--since and --snapshot exclude each other; give one")
		}
		var err error
		if w.Kinds, err = kinds(); err != nil {
			return err
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		for event, err := range c.Watch(cmd.Context(), w) {
			switch {
			case errors.Is(err, context.Canceled):
				return nil // that is how it ends
			case err != nil:
				return err
			}
			if err := a.printEvent(*f, event); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// printEvent prints an event on one line, or as a document of YAML.
func (a *App) printEvent(f format, event *client.Event) error {
	switch event.Type {
	case client.EventSync:
		_, err := fmt.Fprintf(a.Err, "up to date with revision %d\n", event.Revision)
		return err
	case client.EventReset:
		_, err := fmt.Fprintln(a.Err, "cut off before all objects were there: they begin anew")
		return err
	}
	switch f {
	case formatJSON:
		line, err := json.Marshal(event.Data) // compact
		if err != nil {
			return fmt.Errorf("print event: %w", err)
		}
		_, err = fmt.Fprintf(a.Out, "%s\n", line)
		return err
	case formatYAML:
		if _, err := fmt.Fprintln(a.Out, "---"); err != nil {
			return err
		}
		return manifest.WriteYAML(a.Out, event.Data)
	}
	who := event.Actor
	if event.Reason != "" {
		who += ": " + event.Reason
	}
	_, err := fmt.Fprintf(a.Out, "%s  %d  %s %s  %s\n", event.Time.UTC().Format(time.RFC3339), event.Revision,
		mark(event.Action), printable(event.Ref().String()), printable(who))
	return err
}
