// Command evenkeel is a load balancer that is its own cluster: this one binary
// is a node, the client of a node's API, and a demo of three nodes.
//
// This package owns the wiring: which parts a node has and in which order they
// stop. What the parts do is theirs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"evenkeel/cmd/evenkeel/cli"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot(out, errOut)
	started := false // until a command runs, every error is one of usage
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = &cli.UsageError{Err: err}
	}
	code := cli.ExitCode(err)
	if err != nil {
		fmt.Fprintf(errOut, "evenkeel: %v\n", err)
	}
	if faulty := (*cli.UsageError)(nil); errors.As(err, &faulty) {
		fmt.Fprintf(errOut, "see: %s --help\n", cmd.CommandPath())
	}
	return code
}

func newRoot(out, errOut io.Writer) *cobra.Command {
	root := cli.Group("evenkeel", "a load balancer that is its own cluster")
	root.Long = "Evenkeel is a load balancer that is its own cluster. Any node takes traffic, any node\n" +
		"takes changes, and when one dies the others go on.\n\n" +
		"  evenkeel demo                          three nodes and three backends on this machine\n" +
		"  evenkeel serve                         a node\n" +
		"  evenkeel backend add 10.0.0.5:9000     a backend, through any node\n" +
		"  curl http://127.0.0.1:8080/            answered by that backend, through any node\n\n" +
		"Exit codes: 0 ok, 1 error, 2 usage, 3 conflict, 4 no quorum or unknown outcome, 5 not found."
	root.Version = cli.ReadBuild().Version
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetOut(out)
	root.SetErr(errOut)
	app := &cli.App{Out: out, Err: errOut, Getenv: os.Getenv}
	root.AddCommand(serveCommand(errOut), recoverCommand(errOut), demoCommand(out, errOut), sampleCommand(errOut))
	root.AddCommand(app.Commands()...)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		cli.MakeGroup(completion)
	}
	return root
}
