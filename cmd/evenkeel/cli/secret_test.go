package cli_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/cluster/secret"
	"evenkeel/cmd/evenkeel/cli"
)

// offline runs a verb that asks no node, in an environment of its own.
func offline(t *testing.T, env map[string]string, args ...string) (string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	app := &cli.App{Out: &out, Err: &errOut, Getenv: func(name string) string { return env[name] }}
	root := &cobra.Command{Use: "evenkeel", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(app.Commands()...)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTheFirstTokenAndTheAuthorityFollowFromTheSecret(t *testing.T) {
	text, other := secret.New(), secret.New()
	tokens, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cluster.secret")
	if err := os.WriteFile(file, []byte("# ours\n"+text+"\n"+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"a file":                        {nil, []string{"--secret-file", file}},
		"the environment":               {map[string]string{"EVENKEEL_SECRET": text}, nil},
		"a file of the environment":     {map[string]string{"EVENKEEL_SECRET_FILE": file}, nil},
		"a file before the environment": {map[string]string{"EVENKEEL_SECRET": other}, []string{"--secret-file", file}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := offline(t, c.env, append([]string{"token", "bootstrap"}, c.args...)...)
			if err != nil || out != tokens[0]+"\n" {
				t.Errorf("token bootstrap prints %q, %v", out, err)
			}
			out, err = offline(t, c.env, append([]string{"secret", "ca"}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode([]byte(out))
			if block == nil {
				t.Fatalf("secret ca prints %q", out)
			}
			if authority, err := x509.ParseCertificate(block.Bytes); err != nil || !authority.IsCA {
				t.Errorf("it is no authority: %v", err)
			}
		})
	}
}

func TestWithoutASecretThereIsNoFirstToken(t *testing.T) {
	for _, verb := range [][]string{{"token", "bootstrap"}, {"secret", "ca"}} {
		for name, c := range map[string]struct {
			env  map[string]string
			args []string
			want string
		}{
			"none":        {nil, nil, "name its file with --secret-file"},
			"two":         {map[string]string{"EVENKEEL_SECRET": "a", "EVENKEEL_SECRET_FILE": "b"}, nil, "unset one of the two"},
			"no file":     {nil, []string{"--secret-file", "/does/not/exist"}, "/does/not/exist"},
			"a faulty":    {map[string]string{"EVENKEEL_SECRET": "hunter2hunter2"}, nil, "too short"},
			"an argument": {map[string]string{"EVENKEEL_SECRET": secret.New()}, []string{"now"}, ""},
		} {
			out, err := offline(t, c.env, append(append([]string{}, verb...), c.args...)...)
			if err == nil || out != "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v with %s: %q, %v", verb, name, out, err)
			}
			if usage := (*cli.UsageError)(nil); (name == "none" || name == "two") && !errors.As(err, &usage) {
				t.Errorf("%v with %s is no error of usage: %v", verb, name, err)
			}
		}
	}
}

func TestTheAuthoritiesAreADocumentToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.secret")
	if err := os.WriteFile(file, []byte(secret.New()+"\n"+secret.New()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := offline(t, nil, "secret", "ca", "--secret-file", file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := offline(t, nil, "secret", "ca", "--secret-file", file, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	doc := document[struct {
		PEM         string
		Authorities []struct {
			Subject, SHA256 string
			NotAfter        time.Time `json:"not_after"`
		}
	}](t, out)
	if doc.PEM != text || len(doc.Authorities) != 2 {
		t.Fatalf("%+v", doc)
	}
	rest := []byte(text)
	for _, has := range doc.Authorities {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil || has.SHA256 != fmt.Sprintf("%x", sha256.Sum256(block.Bytes)) || has.Subject != authority.Subject.String() || !has.NotAfter.Equal(authority.NotAfter) {
			t.Errorf("%+v is not of the certificate of %s, %v", has, authority.Subject, err)
		}
	}
}

func TestTheFirstTokenIsADocumentToo(t *testing.T) {
	text := secret.New()
	tokens, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := offline(t, map[string]string{"EVENKEEL_SECRET": text}, "token", "bootstrap", "-o", "json")
	if doc := document[map[string]string](t, out); err != nil || doc["token"] != tokens[0] {
		t.Errorf("%v, %v", doc, err)
	}
}
