package cli

import "github.com/spf13/cobra"

func (a *App) membersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "members", Short: "list the nodes of the cluster", Args: exactArgs(0)}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		var nodes items[nodeDoc]
		got, err := c.get(cmd.Context(), "/v1/nodes", &nodes)
		if err != nil {
			return err
		}
		if *f != formatTable {
			return printData(a.Out, *f, got.body)
		}
		return nodeTable(nodes.Items).print(a.Out)
	}
	return cmd
}
