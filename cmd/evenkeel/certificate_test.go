package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"evenkeel/cmd/evenkeel/cli"
)

// writePair writes a certificate for site.example and its key into the folder that
// the test is in, and returns the lines of the key.
func writePair(t testing.TB, chainFile, keyFile string, key *ecdsa.PrivateKey, ends time.Duration) []string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site.example"}, DNSNames: []string{"site.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	for name, text := range map[string][]byte{chainFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyFile: private} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(string(private)), "\n")
	return lines[1 : len(lines)-1]
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestCertificatesOnTheCommandLine has a node serve what the command line and manifests
// give it, and looks for a key in all that is printed and logged meanwhile.
func TestCertificatesOnTheCommandLine(t *testing.T) {
	api, log := soloLogged(t, "--listener-addr", "secure=127.0.0.1:0", "--listener-addr", "db=127.0.0.1:0", "--log-level", "debug")
	t.Chdir(t.TempDir())
	first, second := newKey(t), newKey(t)
	secrets := writePair(t, "chain.pem", "key.pem", first, 90*24*time.Hour+time.Hour)
	writePair(t, "renewed.pem", "key.pem", first, 91*24*time.Hour+time.Hour)
	secrets = append(secrets, writePair(t, "other.pem", "other.key", second, time.Hour)...)
	var printed strings.Builder
	ek := func(line string, code int, wants ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		got := run(ctx, append(strings.Fields(line), "--api", api), &out, &errOut)
		text := out.String() + errOut.String()
		printed.WriteString(text)
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s: %q does not match %s", line, text, want)
			}
		}
		if got != code {
			t.Errorf("%s: exit %d, want %d: %s", line, got, code, text)
		}
		return out.String()
	}
	eventually(t, "the registry has its keys", func() bool {
		var out, errOut bytes.Buffer
		code := run(t.Context(), strings.Fields("certificate add site --chain-file chain.pem --key-file key.pem --dry-run --api "+api), &out, &errOut)
		return code == cli.ExitOK
	})
	ek("certificate add site --chain-file chain.pem --key-file other.key", cli.ExitError, `/key: belongs to another certificate`)
	ek("certificate add site --chain-file chain.pem --key-file key.pem", cli.ExitOK, `site +site.example +CN=site.example +\S+, in 90 days +ECDSA P-256`)
	ek("listener add secure --address :443 --protocol https --tls-certificate site --tls-policy modern --http2-max-streams 50 --client-head-timeout 5s", cli.ExitOK)
	ek("route add secure --listener secure --sni site.example --pool default", cli.ExitOK, `sni site.example`)
	ek("pool set default --protocol http2 --tls-ca-file chain.pem --tls-server-name site.example --tls-certificate site --max-backend-connections 2 --check grpc --check-service a.B", cli.ExitOK, `http2, TLS .* grpc a.B`)
	ek("pool set default --tls-server-name= --tls-certificate= --tls-ca-file=", cli.ExitOK, `http2, TLS `)
	ek("pool set default --tls=false --protocol= --max-backend-connections= --check tcp --check-service= --proxy-protocol v1", cli.ExitOK, `http1, PROXY v1`)
	ek("listener add db --address :5432 --protocol tcp --idle-timeout 1m --proxy-protocol-from 10.0.0.0/8", cli.ExitOK, `tcp, PROXY`)
	ek("listener set secure --client-auth optional --client-ca-file chain.pem", cli.ExitOK, `https, client certificates optional`)
	ek("listener set secure --client-auth none", cli.ExitOK)

	var address string
	eventually(t, "the listener is open", func() bool {
		match := regexp.MustCompile(`"address": "(127\.0\.0\.1:\d+)"`).FindStringSubmatch(ek("listener get secure -o json", cli.ExitOK))
		if match != nil {
			address = match[1]
		}
		return match != nil
	})
	shown := func() time.Time {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, &tls.Config{ServerName: "site.example", InsecureSkipVerify: true})
		if err != nil {
			return time.Time{}
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	eventually(t, "the certificate is shown", func() bool { return time.Until(shown()) > 89*24*time.Hour })
	ek("certificate set site --chain-file other.pem", cli.ExitError, `/key: is needed`)
	ek("certificate set site --chain-file renewed.pem --dry-run", cli.ExitOK, `chain certificate until \S+ CN=site.example → certificate until`)
	ek("certificate set site --chain-file renewed.pem", cli.ExitOK, `in 91 days`)
	eventually(t, "the renewed one is shown", func() bool { return time.Until(shown()) > 91*24*time.Hour })

	file := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return "|\n    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n"
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("export.yaml", ek("export", cli.ExitOK, `certificates:`))
	write("new.yaml", "certificates:\n- name: other\n  chain: "+file("other.pem")+"  key: "+file("other.key"))
	write("keyless.yaml", "certificates:\n- name: other\n  chain: "+file("other.pem"))
	write("mismatch.yaml", "certificates:\n- name: other\n  chain: "+file("other.pem")+"  key: "+file("key.pem"))
	ek("diff -f export.yaml", cli.ExitOK, `^$`)
	ek("apply -f export.yaml", cli.ExitOK, `no new revision`)
	ek("apply -f keyless.yaml", cli.ExitError, `line 2, column 3: .*/key: is missing: give the private key`)
	ek("diff -f mismatch.yaml", cli.ExitUsage, `/certificates/0/key: belongs to another certificate`)
	ek("diff -f new.yaml", cli.ExitError, `\+ certificate other  chain certificate until`)
	ek("apply -f new.yaml --reason more", cli.ExitOK, `\+ certificate other`)
	ek("apply -f new.yaml", cli.ExitOK, `no new revision`)
	ek("apply -f keyless.yaml", cli.ExitOK, `no new revision`)
	ek("history", cli.ExitOK, `\+ certificate other .*more`)
	ek("history 1 current -o json", cli.ExitOK)
	ek("certificate get other -o yaml", cli.ExitOK, `fingerprint`)
	ek("certificate ls", cli.ExitOK, `in 59 minutes`)
	ek("certificate rm site", cli.ExitConflict, `listener secure`)
	ek("certificate rm other", cli.ExitOK)
	for line, want := range map[string]string{
		"validate -f new.yaml":               `new.yaml: ok, 1 object`,
		"validate -f keyless.yaml":           `keyless.yaml:2:3: warning: /certificates/0/key: is missing`,
		"validate -f keyless.yaml --strict":  `keyless.yaml:2:3: /certificates/0/key: is missing`,
		"validate -f mismatch.yaml --strict": `/certificates/0/key: belongs to another certificate`,
	} {
		var out, errOut bytes.Buffer
		run(t.Context(), strings.Fields(line), &out, &errOut)
		printed.WriteString(out.String() + errOut.String())
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("%s: %q", line, errOut.String())
		}
	}
	for _, secret := range secrets {
		for what, text := range map[string]string{"prints": printed.String(), "logs": log.String()} {
			if strings.Contains(text, secret[:16]) {
				t.Errorf("it %s a line of a key", what)
			}
		}
	}
}
