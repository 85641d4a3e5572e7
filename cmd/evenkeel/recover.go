package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/cli"
)

func recoverCommand(errOut io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "recover --data-dir DIR", Short: "make a new cluster of one node, when the majority is lost for good",
		Long: "Make a new cluster of what one node has on its disk, when so many nodes are lost for\n" +
			"good that no majority will ever be there again. The node must be stopped. Choose the one\n" +
			"with the newest last entry: run this on each survivor without --yes, which only looks.\n\n" +
			"The node becomes the only member of a new cluster and may be started as before. Writes\n" +
			"that the lost nodes acknowledged without it are lost; writes that it has and nobody\n" +
			"acknowledged are kept. Every other node of the old cluster is shut out for ever: move\n" +
			"its data directory aside and start it, and it joins the new one.",
		Example: "  evenkeel recover --data-dir /var/lib/evenkeel          # looks, and says what may be lost\n" +
			"  evenkeel recover --data-dir /var/lib/evenkeel --yes",
		Args: cobra.NoArgs,
	}
	dir := cmd.Flags().String("data-dir", "", "data directory of the stopped node")
	yes := cmd.Flags().Bool("yes", false, "do it")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *dir == "" {
			return &cli.UsageError{Err: errors.New("--data-dir is missing: name the directory of the node")}
		}
		r, err := cluster.Recover(*dir, *yes, nil)
		if err != nil {
			return err
		}
		if err := reportRecovery(errOut, *dir, r); err != nil || *yes {
			return err
		}
		return &cli.UsageError{Err: errors.New("nothing was changed: repeat it with --yes to make this node a cluster of its own")}
	}
	return cmd
}

func reportRecovery(w io.Writer, dir string, r cluster.Recovery) error {
	appended := "at an unknown time"
	if !r.Appended.IsZero() {
		appended = "made " + r.Appended.UTC().Format(time.RFC3339)
	}
	others := "none"
	if len(r.Others) > 0 {
		others = strings.Join(r.Others, ", ")
	}
	text := fmt.Sprintf("node %s in %s, of cluster %s\n", r.UID, dir, r.Before) +
		fmt.Sprintf("  has     revision %d: %d listeners, %d routes, %d pools, %d backends\n", r.Revision, r.Listeners, r.Routes, r.Pools, r.Backends) +
		fmt.Sprintf("  up to   entry %d of the log, %s\n", r.LastEntry, appended) +
		fmt.Sprintf("  others  %s\n", others)
	if r.After != "" {
		text += fmt.Sprintf("it is the only member of the new cluster %s: start it as before, then move the data\ndirectories of the others aside and start those\n", r.After)
	} else {
		text += "what the others acknowledged behind that entry would be lost, and they would be shut out for ever;\nif any of them can come back with its disk, start it instead\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
