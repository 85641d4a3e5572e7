package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/cmd/evenkeel/config"
	"evenkeel/cmd/evenkeel/demo"
	"evenkeel/cmd/evenkeel/sample"
)

func serveCommand(errOut io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "run a node",
		Long: "Run a node. With nothing else it is a working single node: the API is at\n" +
			"http://127.0.0.1:7070, traffic is taken at :8080.\n\n" +
			"Every option may also be given as EVENKEEL_<NAME> in the environment or in the YAML\n" +
			"file of --config, under the flag's name. A flag counts before the environment, the\n" +
			"environment before the file. Secrets come from files or from EVENKEEL_SECRET and\n" +
			"EVENKEEL_ADMIN_TOKEN.\n\n" +
			"SIGTERM or SIGINT stops the node in order: it reports not ready, lets requests finish,\n" +
			"hands leadership over and ends. A second one ends it at once.",
		Example: "  evenkeel serve\n" +
			"  evenkeel serve --name n1 --secret-file cluster.secret --join 10.0.0.1,10.0.0.2,10.0.0.3",
		Args: cobra.NoArgs,
	}
	cmd.Flags().SortFlags = false
	config.Flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		options, err := config.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return faulty(err)
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		logger := newLogger(options, errOut)
		defer takeStandardLog(logger)()
		return serve(ctx, options, logger)
	}
	return cmd
}

// untilSignal returns a context that ends with SIGINT or SIGTERM. The next one
// then does what it does to any process: it ends it at once.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func demoCommand(out, errOut io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "run three nodes and three backends on this machine, and show them at work",
		Args: cobra.NoArgs,
	}
	duration := cmd.Flags().Duration("duration", 0, "end after this time, counted from when all is ready (default: at Ctrl-C)")
	secure := cmd.Flags().Bool("tls", false, "add a listener of https with a certificate of its own, and say how curl believes it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// Every signal, the second one too, leads to an orderly end: the
		// processes and the folder must go.
		ctx, stop := signal.NotifyContext(cmd.Context(), demo.Signals()...)
		defer stop()
		return demo.Run(ctx, demo.Config{Out: out, Err: errOut, Duration: *duration, TLS: *secure})
	}
	return cmd
}

func sampleCommand(errOut io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sample-backend", Short: "run a backend that answers its name", Hidden: true,
		Args: cobra.NoArgs,
	}
	address := cmd.Flags().String("addr", "127.0.0.1:9000", "address to listen on")
	name := cmd.Flags().String("name", "sample", "what to answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *address)
		if err != nil {
			return fmt.Errorf("listen for sample backend %q: %w", *name, err)
		}
		fmt.Fprintf(errOut, "%s sample backend %q listens on http://%s\n", time.Now().Format(time.TimeOnly), *name, listener.Addr())
		return sample.Serve(ctx, listener, *name)
	}
	return cmd
}
