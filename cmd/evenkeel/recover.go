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
			"its data directory aside and start it, and it joins the new one.\n\n" +
			"If the log of a node is damaged it says so, with what the image holds that the node\n" +
			"keeps to serve from, and how old that is. Choose a node with a sound log if there is\n" +
			"one; if there is none, --from-image --yes makes the new cluster of the image.\n\n" +
			"Run it as the user that the service runs as: it writes files that the node has to read\n" +
			"and write. A look counts as a start of the node and changes nothing else.",
		Example: "  evenkeel recover --data-dir /var/lib/evenkeel          # looks, and says what may be lost\n" +
			"  evenkeel recover --data-dir /var/lib/evenkeel --yes\n" +
			"  evenkeel recover --data-dir /var/lib/evenkeel --from-image --yes",
		Args: cobra.NoArgs,
	}
	dir := cmd.Flags().String("data-dir", "", "data directory of the stopped node")
	yes := cmd.Flags().Bool("yes", false, "do it")
	fromImage := cmd.Flags().Bool("from-image", false, "take the image, where the log is damaged")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *dir == "" {
			return &cli.UsageError{Err: errors.New("--data-dir is missing: name the directory of the node")}
		}
		r, err := cluster.Recover(*dir, cluster.RecoverOptions{Write: *yes, FromImage: *fromImage})
		if err != nil {
			return err
		}
		if err := reportRecovery(errOut, *dir, r); err != nil || *yes {
			return err
		}
		flags := "--yes"
		if r.Damage != "" {
			flags = "--from-image --yes"
		}
		return &cli.UsageError{Err: fmt.Errorf("nothing was changed: repeat it with %s to make this node a cluster of its own", flags)}
	}
	return cmd
}

func reportRecovery(w io.Writer, dir string, r cluster.Recovery) error {
	others := "none"
	if len(r.Others) > 0 {
		others = strings.Join(r.Others, ", ")
	}
	text := fmt.Sprintf("node %s in %s, of cluster %s\n", r.UID, dir, r.Before)
	if r.Damage != "" {
		text += fmt.Sprintf("  DAMAGE  %s\n          what follows is of its image\n", r.Damage)
	}
	text += fmt.Sprintf("  has     revision %d: %d listeners, %d routes, %d pools, %d backends\n", r.Revision, r.Listeners, r.Routes, r.Pools, r.Backends) +
		fmt.Sprintf("  up to   entry %d of the log, %s\n", r.LastEntry, madeAt(r, time.Now())) +
		fmt.Sprintf("  others  %s\n", others)
	switch {
	case r.After != "":
		text += fmt.Sprintf("it is the only member of the new cluster %s: start it as before, then move the data\ndirectories of the others aside and start those\n", r.After)
	case r.Damage != "":
		text += "what was acknowledged behind that entry would be lost, also what this node has in its damaged log;\nlook at the others first: one with a sound log has more, and if a majority can come back with its disks,\nstart it instead: it lets this node in again\n"
	default:
		text += "what the others acknowledged behind that entry would be lost, and they would be shut out for ever;\nif any of them can come back with its disk, start it instead\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// madeAt says when the last entry was made or, of an image, when that was written.
func madeAt(r cluster.Recovery, now time.Time) string {
	switch {
	case r.Damage != "":
		return fmt.Sprintf("written %s (%s ago)", r.Written.UTC().Format(time.RFC3339), now.Sub(r.Written).Round(time.Second))
	case !r.Appended.IsZero():
		return "made " + r.Appended.UTC().Format(time.RFC3339)
	}
	return "at an unknown time"
}
