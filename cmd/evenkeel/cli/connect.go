package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/cluster/secret"
	"evenkeel/fsm"
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
	address, _ := c.address()
	bases, err := client.ParseBases(address)
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
// for the system's. Without a file of them it is enough to have the cluster's
// secret, or to be asking the node whose certificate is in this environment.
func (c *connection) authorities() (*tls.Config, error) {
	file := c.caFile
	if file == "" {
		file = c.app.Getenv("EVENKEEL_API_CA")
	}
	address, own := c.address()
	switch certificate := c.app.Getenv("EVENKEEL_API_TLS_CERT"); {
	case file != "":
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("read certificate authority: file %q holds no certificate in PEM, a block that begins with -----BEGIN CERTIFICATE-----", file)
		}
		return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
	case !strings.Contains(address, "https://"):
		return nil, nil
	case own && certificate != "":
		return pinned(certificate)
	}
	ring, err := c.app.ring()
	if err != nil || ring == nil {
		return nil, err
	}
	return clusterRoots(ring)
}

// clusterRoots trusts the system's authorities and the cluster's own.
func clusterRoots(ring *secret.Ring) (*tls.Config, error) {
	authorities, err := ring.WebAuthorities()
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image may have none
	}
	pool.AppendCertsFromPEM(authorities)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// pinned trusts one certificate, whatever names it has: the one that the node of
// this environment serves, which is asked by its address.
func pinned(file string) (*tls.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate of this node: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("read certificate of this node: file %q holds no PEM", file)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection takes its place
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes) {
				return fmt.Errorf("the certificate is not that of %q", file)
			}
			return nil
		},
	}, nil
}

// address prefers what was said to the client over where the node of the same
// environment listens; the latter lets the verbs work inside of a container. own
// tells that it is that.
func (c *connection) address() (address string, own bool) {
	for _, address := range []string{c.api, c.app.Getenv("EVENKEEL_API")} {
		if address != "" {
			return address, false
		}
	}
	address = c.app.Getenv("EVENKEEL_API_ADDR")
	if address == "" {
		address = "127.0.0.1:7070"
	}
	if c.app.Getenv("EVENKEEL_API_TLS") == "" && c.app.Getenv("EVENKEEL_API_TLS_CERT") == "" {
		return address, true
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, true // the client says what is wrong with it
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return "https://" + net.JoinHostPort(host, port), true
}

// findToken looks for a token in the same order, then for the node's own admin
// token, and then for the cluster's secret, of which one follows.
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
	text, err := c.app.environmentSecret()
	if err != nil || text == nil {
		return "", err
	}
	tokens, err := secret.BootstrapTokens(text)
	if err != nil {
		return "", err
	}
	return tokens[0], nil
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

// completePools offers the cluster's pools as values of a verb's --pool.
func (c *connection) completePools(cmd *cobra.Command) { c.completeNames(cmd, "pool", fsm.KindPool) }

// completeNames offers the cluster's objects of a kind as values of a verb's flag.
func (c *connection) completeNames(cmd *cobra.Command, flag string, of fsm.Kind) {
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return (&verbs{kind: &kind{name: string(of)}, app: c.app, conn: c}).complete(cmd, nil, prefix)
	})
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
