package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckCommand is for images that hold nothing but this binary.
func (a *App) healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "exit with 0 if the node is ready for traffic, else with 1",
		Long: "Ask /readyz of a node, by default of the one that runs on this machine or in this\n" +
			"container. The exit code is 0 if it is ready for traffic and 1 if not; this is what\n" +
			"Docker's HEALTHCHECK expects. With --live ask /livez, whether the process serves its API:\n" +
			"for a witness, which is never ready for traffic.",
		Args: exactArgs(0),
	}
	conn := a.connectFlags(cmd, 3*time.Second)
	live := cmd.Flags().Bool("live", false, "whether the process serves its API, ready for traffic or not")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		path, is := "/readyz", "ready"
		if *live {
			path, is = "/livez", "alive"
		}
		got, err := get(cmd.Context(), c, path, nil)
		if err != nil {
			// Docker reserves all other codes: no problem's own code here.
			return fmt.Errorf("check health: %s", hinted(err))
		}
		_, err = fmt.Fprintf(a.Err, "%s is %s\n", got.Base, is)
		return err
	}
	return cmd
}
