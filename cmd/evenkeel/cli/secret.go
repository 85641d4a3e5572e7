package cli

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/cluster/secret"
)

func (a *App) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret", Short: "print a new cluster secret",
		Long: "Print a new cluster secret. Give the same one to every node:\n\n" +
			"  evenkeel secret > cluster.secret\n" +
			"  evenkeel serve --secret-file cluster.secret ...\n\n" +
			"A file that the output goes to is made unreadable for other users.",
		Args: exactArgs(0),
		RunE: func(*cobra.Command, []string) error { return a.printSecret(secret.New()) },
	}
	cmd.AddCommand(a.authorityCommand())
	return cmd
}

// authorityCommand prints what clients need to know a node by its certificate.
func (a *App) authorityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ca", Short: "print the certificate authority of the API, PEM",
		Long: "Print the certificate authority that follows from the cluster's secret, and that issues the\n" +
			"certificates of an API with --api-tls=cluster. It is no secret. No node is asked.\n\n" +
			"  evenkeel secret ca --secret-file cluster.secret > ca.pem\n" +
			"  curl --cacert ca.pem https://node1:7070/readyz\n\n" +
			"With -o json or yaml it is a document with the same text and, for each authority of it, its\n" +
			"subject, its end and the SHA-256 of its DER in hexadecimal.",
		Args: exactArgs(0),
	}
	file, f := secretFlag(cmd), ownFormatFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		text, err := a.needSecret(*file)
		if err != nil {
			return err
		}
		ring, err := secret.Parse(text)
		if err != nil {
			return err
		}
		authorities, err := ring.WebAuthorities()
		if err != nil {
			return err
		}
		if *f != formatTable {
			doc, err := describeAuthorities(authorities)
			if err != nil {
				return err
			}
			return a.printValue(*f, doc)
		}
		_, err = a.Out.Write(authorities)
		return err
	}
	return cmd
}

// authoritiesDoc is the certificate authorities as a document.
type authoritiesDoc struct {
	PEM         string         `json:"pem"` // all of them, as a client takes them
	Authorities []authorityDoc `json:"authorities"`
}

// authorityDoc is one of them. SHA256 is of its DER, in hexadecimal.
type authorityDoc struct {
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"not_after"`
	SHA256   string    `json:"sha256"`
}

func describeAuthorities(text []byte) (authoritiesDoc, error) {
	doc := authoritiesDoc{PEM: string(text)}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return doc, fmt.Errorf("read certificate authority: %w", err)
		}
		sum := sha256.Sum256(authority.Raw)
		doc.Authorities = append(doc.Authorities, authorityDoc{authority.Subject.String(), authority.NotAfter.UTC(), hex.EncodeToString(sum[:])})
	}
	return doc, nil
}

// bootstrapCommand prints the token that needs no other one.
func (a *App) bootstrapCommand(f *format) *cobra.Command {
	cmd := &cobra.Command{
		Use: "bootstrap", Short: "print the token with every right that follows from the cluster's secret",
		Long: "Print the API token with every right that follows from the cluster's secret. Every node with\n" +
			"that secret takes it, at once and for as long as it has the secret. No node is asked.\n\n" +
			"Of several secrets it is the token of the first. A file that the output goes to is made\n" +
			"unreadable for other users.",
		Example: "  (umask 077; evenkeel token bootstrap --secret-file cluster.secret > admin.token)\n" +
			"  evenkeel token create ci --role editor --token-file admin.token",
		Args: exactArgs(0),
	}
	file := secretFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		text, err := a.needSecret(*file)
		if err != nil {
			return err
		}
		tokens, err := secret.BootstrapTokens(text)
		if err != nil {
			return err
		}
		if *f == formatTable {
			return a.printSecret(tokens[0])
		}
		if err := a.protectOutput(); err != nil {
			return err
		}
		return a.printValue(*f, map[string]string{"token": tokens[0]})
	}
	return cmd
}

func secretFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("secret-file", "", "file with the cluster's secret (or EVENKEEL_SECRET, EVENKEEL_SECRET_FILE)")
}

// needSecret returns the text of the cluster's secret.
func (a *App) needSecret(file string) ([]byte, error) {
	text, err := a.findSecret(file)
	if err == nil && text == nil {
		err = usage("no cluster secret is given: name its file with --secret-file, or set EVENKEEL_SECRET or EVENKEEL_SECRET_FILE")
	}
	return text, err
}

// findSecret returns the text of the cluster's secret from a file, else from the
// environment as a node takes it, or nil if there is none.
func (a *App) findSecret(file string) ([]byte, error) {
	text := a.Getenv("EVENKEEL_SECRET")
	inFile := a.Getenv("EVENKEEL_SECRET_FILE")
	switch {
	case file != "":
	case text != "" && inFile != "":
		return nil, usage("EVENKEEL_SECRET and EVENKEEL_SECRET_FILE are set both; unset one of the two")
	case text != "":
		return []byte(text), nil
	case inFile == "":
		return nil, nil
	default:
		file = inFile
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	defer opened.Close() // nothing was written
	// One byte more than a ring may have, so that a larger file is refused as such.
	data, err := io.ReadAll(io.LimitReader(opened, secret.MaxText+1))
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return data, nil
}

// environmentSecret returns the secret that the environment has, or nil. Who may not
// read its file is not meant to have what follows from it, and goes without.
func (a *App) environmentSecret() ([]byte, error) {
	text, err := a.findSecret("")
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	return text, err
}

// ring returns the secrets that the environment has, or nil.
func (a *App) ring() (*secret.Ring, error) {
	text, err := a.environmentSecret()
	if err != nil || text == nil {
		return nil, err
	}
	return secret.Parse(text)
}

// printSecret prints one line that others are not to see.
func (a *App) printSecret(line string) error {
	if err := a.protectOutput(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Out, line)
	return err
}

// protectOutput keeps others from reading what is printed to a file.
func (a *App) protectOutput() error {
	if file, ok := a.Out.(*os.File); ok {
		return protect(file)
	}
	return nil
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
