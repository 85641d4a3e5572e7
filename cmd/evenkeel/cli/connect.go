package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
)

// connection holds the flags by which a verb reaches the API.
type connection struct {
	app       *App
	api       string
	token     string
	tokenFile string
	caFile    string
	timeout   time.Duration
	patience  time.Duration
}

// connectFlags adds the flags of a connection to a command and all below it.
func (a *App) connectFlags(cmd *cobra.Command, timeout time.Duration) *connection {
	c := &connection{app: a}
	fs := cmd.PersistentFlags()
	fs.StringVar(&c.api, "api", "", "address of a node's API, or several with commas, tried in turn (or EVENKEEL_API; default 127.0.0.1:7070)")
	fs.StringVar(&c.token, "token", "", "bearer token; other users of this machine can see it, better use EVENKEEL_TOKEN")
	fs.StringVar(&c.tokenFile, "token-file", "", "file with the bearer token")
	fs.StringVar(&c.caFile, "ca-file", "", "PEM file with the authority that signed the certificate of an https:// API (or EVENKEEL_API_CA; default: those of this system)")
	fs.DurationVar(&c.patience, "wait-leader", 3*time.Second, "how long to wait for a cluster that has no leader")
	fs.DurationVar(&c.timeout, "timeout", timeout, "how long to wait for an answer")
	return c
}

// client returns a client of the API that flags and environment name.
func (c *connection) client() (*client.Client, error) {
	if c.token != "" && c.tokenFile != "" {
		return nil, usage("--token and --token-file exclude each other; give one")
	}
	if c.timeout <= 0 {
		return nil, usage(fmt.Sprintf("--timeout %q is no time to wait; give one such as 15s", c.timeout))
	}
	bases, err := client.ParseBases(c.address())
	if err != nil {
		return nil, &UsageError{err}
	}
	token, err := c.findToken()
	if err != nil {
		return nil, err
	}
	authorities, err := c.authorities()
	if err != nil {
		return nil, err
	}
	patience := c.patience
	if patience == 0 {
		patience = -1 // not at all
	}
	return client.New(client.Config{
		Bases: bases, Token: token, TLS: authorities, UserAgent: "evenkeel-cli",
		Timeout: c.timeout, Patience: patience,
		Notice: func(text string) { fmt.Fprintln(c.app.Err, printable(text)) },
	})
}

// authorities returns whose signature under a node's certificate is enough, or nil
// for the system's.
func (c *connection) authorities() (*tls.Config, error) {
	file := c.caFile
	if file == "" {
		file = c.app.Getenv("EVENKEEL_API_CA")
	}
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read certificate authority: file %q holds no certificate in PEM, a block that begins with -----BEGIN CERTIFICATE-----", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// address prefers what was said to the client over where the node of the same
// environment listens; the latter lets the verbs work inside of a container.
func (c *connection) address() string {
	for _, address := range []string{c.api, c.app.Getenv("EVENKEEL_API"), c.app.Getenv("EVENKEEL_API_ADDR")} {
		if address != "" {
			return address
		}
	}
	return "127.0.0.1:7070"
}

// findToken looks for a token in the same order, and for the node's own admin
// token last.
func (c *connection) findToken() (string, error) {
	type source struct{ text, file string }
	env := c.app.Getenv
	for _, s := range []source{
		{c.token, c.tokenFile},
		{env("EVENKEEL_TOKEN"), env("EVENKEEL_TOKEN_FILE")},
		{env("EVENKEEL_ADMIN_TOKEN"), env("EVENKEEL_ADMIN_TOKEN_FILE")},
	} {
		if s.text != "" {
			return strings.TrimSpace(s.text), nil
		}
		if s.file != "" {
			data, err := os.ReadFile(s.file)
			if err != nil {
				return "", fmt.Errorf("read token: %w", err)
			}
			return strings.TrimSpace(string(data)), nil
		}
	}
	return "", nil
}

// offer makes a completion of what the API has. A shell that waits for it cannot
// show an error, so that there is just nothing to offer.
func (c *connection) offer(names func(context.Context, *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		c.timeout, c.patience = time.Second, 0
		asked, err := c.client()
		if err != nil {
			return nil, directive
		}
		defer asked.Close()
		offers, err := names(cmd.Context(), asked)
		if err != nil {
			return nil, directive
		}
		return offers, directive
	}
}

// upTo offers nothing more where a verb has all its arguments.
func upTo(n int, complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}
