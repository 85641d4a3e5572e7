package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"evenkeel/client"
)

func (a *App) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "members", Short: "list the nodes of the cluster, and change them",
		Args: exactArgs(0),
	}
	conn, f := a.connectFlags(cmd, timeout), ownFormatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		var nodes items[nodeDoc]
		got, err := get(cmd.Context(), c, "/v1/nodes", &nodes)
		if err != nil {
			return err
		}
		if *f != formatTable {
			return printData(a.Out, *f, got.Body)
		}
		// The two must be of one node.
		c = c.At(got.Base)
		var cluster clusterDoc
		if _, err := get(cmd.Context(), c, "/v1/cluster", &cluster); err != nil {
			return err
		}
		return printMembers(a.Out, nodes.Items, cluster.FeatureLevel)
	}
	cmd.AddCommand(a.memberRemove(conn), a.memberPromote(conn), a.memberLead(conn))
	return cmd
}

// printMembers prints the nodes and the feature level of the cluster, 0 if that is
// not known.
func printMembers(w io.Writer, nodes []nodeDoc, level uint64) error {
	if err := nodeTable(nodes).print(w); err != nil || level == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "\nthe cluster is at feature level %d%s\n", level, whyBelow(level, nodes))
	return err
}

func (a *App) memberRemove(conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NODE", Aliases: []string{"rm"}, Short: "remove a node from the cluster for good",
		Long: "Remove a node, given by its name or UID, from the cluster for good.\n\n" +
			"The node itself is not needed. One that runs serves traffic on from its last state\n" +
			"until it is stopped; to let it in again, start it with an empty data directory.",
		Args: exactArgs(1), ValidArgsFunction: conn.completeNode,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := a.changeMembers(cmd, conn, client.Request{
			Method: http.MethodDelete, Path: "/v1/nodes/" + url.PathEscape(args[0]), Header: http.Header{"If-Match": {"*"}},
		}, fmt.Sprintf("node %s is removed", args[0]))
		return missing(err, "there is no node %s", args[0])
	}
	return cmd
}

func (a *App) memberPromote(conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "promote NODE", Short: "give a node a vote",
		Long: "Give a node, by its name or UID, a vote. A node that has caught up gets one by itself\n" +
			"as long as fewer than 7 have one; this says what is in the way.",
		Args: exactArgs(1), ValidArgsFunction: conn.completeNode,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.changeMembers(cmd, conn, client.Request{Method: http.MethodPost, Path: "/v1/nodes/" + url.PathEscape(args[0]) + "/promote"},
			fmt.Sprintf("node %s has a vote", args[0]))
	}
	return cmd
}

func (a *App) memberLead(conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "transfer-leader [NODE]", Short: "hand the leadership to a node, or to any other",
		Args: maxArgs(1), ValidArgsFunction: conn.completeNode,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request, done := client.Request{Method: http.MethodPost, Path: "/v1/cluster/transfer-leader"}, "another node leads"
		if len(args) == 1 {
			request.Path += "?to=" + url.QueryEscape(args[0])
			done = fmt.Sprintf("node %s leads", args[0])
		}
		return a.changeMembers(cmd, conn, request, done)
	}
	return cmd
}

// changeMembers sends a change and tells a person when it is done.
func (a *App) changeMembers(cmd *cobra.Command, conn *connection, request client.Request, done string) error {
	c, err := conn.client()
	if err != nil {
		return err
	}
	if _, err := c.Do(cmd.Context(), request); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Err, done)
	return err
}

// completeNode offers the names of the nodes.
func (c *connection) completeNode(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return upTo(1, c.offer(func(ctx context.Context, asked *client.Client) ([]string, error) {
		var nodes items[nodeDoc]
		if _, err := get(ctx, asked, "/v1/nodes", &nodes); err != nil {
			return nil, err
		}
		var names []string
		for _, node := range nodes.Items {
			names = append(names, node.Name)
		}
		return names, nil
	}))(cmd, args, prefix)
}
