package cli

import "github.com/spf13/cobra"

// tokenCommand holds what is about the API's tokens.
func (a *App) tokenCommand() *cobra.Command {
	cmd := Group("token", "the API's tokens: who may do what")
	cmd.AddCommand(a.bootstrapCommand())
	return cmd
}
