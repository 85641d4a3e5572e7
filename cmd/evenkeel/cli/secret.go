package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"evenkeel/cluster/secret"
)

func (a *App) secretCommand() *cobra.Command {
	return &cobra.Command{
		Use: "secret", Short: "print a new cluster secret",
		Long: "Print a new cluster secret. Give the same one to every node:\n\n" +
			"  evenkeel secret > cluster.secret\n" +
			"  evenkeel serve --secret-file cluster.secret ...\n\n" +
			"A file that the output goes to is made unreadable for other users.",
		Args: exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if file, ok := a.Out.(*os.File); ok {
				if err := protect(file); err != nil {
					return err
				}
			}
			_, err := fmt.Fprintln(a.Out, secret.New())
			return err
		},
	}
}

// protect takes the rights of others from a regular file; a terminal or pipe
// is left alone.
func protect(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look at the output: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := file.Chmod(info.Mode().Perm() &^ 0o077); err != nil {
		return fmt.Errorf("keep other users from reading the secret: %w", err)
	}
	return nil
}
