package config_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"evenkeel/cluster/secret"
	"evenkeel/cmd/evenkeel/config"
)

// load parses a command line as serve does.
func load(t testing.TB, args, env []string) (*config.Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parse %q: %v", args, err)
	}
	return config.Load(fs, env)
}

func mustLoad(t testing.TB, args, env []string) *config.Config {
	t.Helper()
	c, err := load(t, args, env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write makes a file that only its owner can read.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreAWorkingSingleNode(t *testing.T) {
	c := mustLoad(t, nil, nil)
	if c.Name == "" || c.DataDir != filepath.Join("evenkeel-data", c.Name) {
		t.Errorf("name %q, data-dir %q", c.Name, c.DataDir)
	}
	if c.APIAddr != "127.0.0.1:7070" || c.ClusterAddr != "127.0.0.1:7071" || !c.Secrets.LoopbackOnly() {
		t.Errorf("api %q, cluster %q; both must be loopback only", c.APIAddr, c.ClusterAddr)
	}
	if c.DrainTimeout != config.DefaultDrainTimeout || c.LogLevel != slog.LevelInfo || c.LogFormat != "text" || c.Profile != "default" {
		t.Errorf("drain %s, level %s, format %s, profile %s", c.DrainTimeout, c.LogLevel, c.LogFormat, c.Profile)
	}
	if c.Loops != 0 || c.BackgroundNice != config.DefaultBackgroundNice || c.Zone != "" {
		t.Errorf("loops %d, background nice %d, zone %q; want one loop per core that goes first, and no zone", c.Loops, c.BackgroundNice, c.Zone)
	}
	if c.RemoveDeadAfter != 72*time.Hour {
		t.Errorf("a dead node is removed after %s, want three days", c.RemoveDeadAfter)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestASecretOpensTheClusterPort(t *testing.T) {
	c := mustLoad(t, nil, []string{"EVENKEEL_SECRET=" + secret.New()})
	if c.ClusterAddr != ":7071" || c.Secrets.LoopbackOnly() {
		t.Errorf("cluster address %q; want :7071", c.ClusterAddr)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "node.yaml", "name: from-file\nprofile: fast\nlog-level: warn\njoin: [f1, f2]\n")
	tests := map[string]struct {
		args, env []string
		want      string
	}{
		"the file counts before the default":                 {[]string{"--config", file}, nil, "from-file fast WARN [f1:7071 f2:7071]"},
		"the environment counts before the file":             {[]string{"--config", file}, []string{"EVENKEEL_NAME=from-env", "EVENKEEL_JOIN=e1"}, "from-env fast WARN [e1:7071]"},
		"a flag counts before all":                           {[]string{"--config", file, "--name=from-flag", "--join=a", "--join=b,c:1"}, []string{"EVENKEEL_NAME=from-env", "EVENKEEL_JOIN=e1"}, "from-flag fast WARN [a:7071 b:7071 c:1]"},
		"the file may be named by the environment":           {nil, []string{"EVENKEEL_CONFIG=" + file}, "from-file fast WARN [f1:7071 f2:7071]"},
		"an empty variable is like an absent one":            {[]string{"--config", file}, []string{"EVENKEEL_NAME=", "EVENKEEL_JOIN="}, "from-file fast WARN [f1:7071 f2:7071]"},
		"a faulty value that does not count is not reported": {[]string{"--config", file, "--profile=safe"}, []string{"EVENKEEL_PROFILE=wild"}, "from-file safe WARN [f1:7071 f2:7071]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, test.args, test.env)
			got := fmt.Sprintf("%s %s %s %s", c.Name, c.Profile, c.LogLevel, c.Join)
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// writeCertificate makes the two files of a certificate.
func writeCertificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	ring, err := secret.Parse([]byte(secret.New()))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ring.WebCertificate("n1", []string{"n1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return write(t, "cert.pem", encode("CERTIFICATE", pair.Certificate[0])), write(t, "key.pem", encode("PRIVATE KEY", key))
}

func TestBeyondLoopbackTheTokenOfTheSecretIsEnough(t *testing.T) {
	c := mustLoad(t, []string{"--api-addr=0.0.0.0:7070", "--api-tls=cluster"}, []string{"EVENKEEL_SECRET=" + secret.New()})
	if !c.APIIsOpen() || !c.APIOverTLS() || c.InsecureAPI || c.AdminToken != "" {
		t.Errorf("got %+v", c)
	}
	if c := mustLoad(t, nil, nil); c.APIIsOpen() || c.APIOverTLS() {
		t.Errorf("by default: %+v", c)
	}
}

func TestEveryOptionFromEachSource(t *testing.T) {
	secretFile := write(t, "secret", secret.New())
	tokenFile := write(t, "token", "0123456789abcdef0123\n")
	certFile, keyFile := writeCertificate(t)
	values := map[string]string{
		"name": "n7", "data-dir": "/var/lib/x", "api-addr": "10.1.2.3:7170", "cluster-addr": "[::]:7171",
		"advertise": "10.1.2.3:9", "join": "a:1,[fd00::1]:2", "bootstrap-expect": "3", "remove-dead-after": "36h", "secret-file": secretFile,
		"bind": "::1", "listener-addr": "default=127.0.0.1:8081,other=:9", "admin-token-file": tokenFile,
		"api-tls-cert": certFile, "api-tls-key": keyFile,
		"loops": "4", "background-nice": "7", "zone": "rack-1", "profile": "safe", "drain-timeout": "1m30s", "log-level": "debug", "log-format": "json",
	}
	want := &config.Config{
		Name: "n7", DataDir: "/var/lib/x", APIAddr: "10.1.2.3:7170", ClusterAddr: "[::]:7171", Advertise: "10.1.2.3:9",
		Join: []string{"a:1", "[fd00::1]:2"}, BootstrapExpect: 3, RemoveDeadAfter: 36 * time.Hour, Bind: "::1",
		ListenerAddrs: map[string]string{"default": "127.0.0.1:8081", "other": ":9"}, Loops: 4, BackgroundNice: 7, Zone: "rack-1",
		AdminToken: "0123456789abcdef0123", APITLSCert: certFile, APITLSKey: keyFile, Profile: "safe", DrainTimeout: 90 * time.Second,
		LogLevel: slog.LevelDebug, LogFormat: "json",
	}
	var args, env []string
	var file strings.Builder
	for name, value := range values {
		args = append(args, "--"+name, value)
		env = append(env, "EVENKEEL_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
		fmt.Fprintf(&file, "%s: %q\n", name, value)
	}
	sources := map[string]*config.Config{
		"flags":       mustLoad(t, args, nil),
		"environment": mustLoad(t, nil, env),
		"file":        mustLoad(t, []string{"--config", write(t, "node.yaml", file.String())}, nil),
	}
	for name, got := range sources {
		if got.Secrets.LoopbackOnly() {
			t.Errorf("%s: no secret", name)
		}
		got.Secrets = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAWitnessFromEachSource(t *testing.T) {
	file := write(t, "node.yaml", "witness: true\njoin: [127.0.0.1]\n")
	for name, c := range map[string]*config.Config{
		"the flag":        mustLoad(t, []string{"--witness", "--join=127.0.0.1"}, nil),
		"the environment": mustLoad(t, nil, []string{"EVENKEEL_WITNESS=true", "EVENKEEL_JOIN=127.0.0.1"}),
		"the file":        mustLoad(t, []string{"--config", file}, nil),
		"who waits":       mustLoad(t, []string{"--witness", "--bootstrap-expect=3"}, nil),
	} {
		if !c.Witness {
			t.Errorf("%s makes no witness", name)
		}
	}
	// What goes for all nodes may be taken back for one.
	if c := mustLoad(t, []string{"--config", file, "--witness=false", "--zone=a"}, nil); c.Witness {
		t.Error("--witness=false makes a witness")
	}
}

func TestTheDeadMayBeKept(t *testing.T) {
	for _, text := range []string{"never", "0", "0s"} {
		if c := mustLoad(t, []string{"--remove-dead-after", text}, nil); c.RemoveDeadAfter != 0 {
			t.Errorf("%s is %s", text, c.RemoveDeadAfter)
		}
	}
}

func TestFileForms(t *testing.T) {
	text := "# a node\nname: 007\nbootstrap-expect: 3\njoin:\n  - n1\n  - n2:1\nlistener-addr:\n  default: :8081\n  other: 127.0.0.1:1\n" +
		"insecure-api: true\napi-addr: \":7070\"\nbind:\nadvertise: |\n  10.0.0.1\n"
	c := mustLoad(t, []string{"--config", write(t, "node.yaml", text)}, nil)
	if c.Name != "007" || c.BootstrapExpect != 3 || !c.InsecureAPI || c.Bind != "" || c.Advertise != "10.0.0.1" {
		t.Errorf("got %+v", c)
	}
	if diff := cmp.Diff(map[string]string{"default": ":8081", "other": "127.0.0.1:1"}, c.ListenerAddrs); diff != "" {
		t.Error(diff)
	}
	empty := mustLoad(t, []string{"--config", write(t, "empty.yaml", "# nothing\n")}, nil)
	if empty.APIAddr != config.DefaultAPIAddr {
		t.Errorf("an empty file changed the API address to %q", empty.APIAddr)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	file := write(t, "node.yaml", "name: Under_Score\nprofil: fast\nlog-format: [text]\nsecret: hunter2hunter2\n")
	_, err := load(t,
		[]string{"--config", file, "--bootstrap-expect", "three", "--listener-addr", "default:80", "--insecure-api=perhaps"},
		[]string{"EVENKEEL_DRAIN_TIMEOUT=10", "EVENKEEL_CLUSTER_ADDR=:7071", "EVENKEEL_API_ADDR=7070", "EVENKEEL_SECRET_FILE=/does/not/exist"})
	want := []config.Fault{
		{Option: "profil", Source: file + ":2", Message: `is no option; did you mean "profile"?`},
		{Option: "log-format", Source: file + ":3", Message: "is a list; give one value"},
		{Option: "secret", Source: file + ":4", Message: "does not belong in this file; write the secret to a file of its own and name that with secret-file"},
		{Option: "name", Source: file + ":1", Value: "Under_Score", Message: "is not a DNS label; use up to 63 of a-z, 0-9 and - (not at either end)"},
		{Option: "api-addr", Source: "environment variable EVENKEEL_API_ADDR", Value: "7070", Message: "is not HOST:PORT; write one such as 127.0.0.1:7070, [::1]:7070 or :7070"},
		{Option: "bootstrap-expect", Source: "flag --bootstrap-expect", Value: "three", Message: "is not a whole number from 1 to 64; give the number of nodes that form the cluster, the same on each"},
		{Option: "listener-addr", Source: "flag --listener-addr", Value: "default:80", Message: `"default:80" is not NAME=HOST:PORT, such as default=127.0.0.1:8081`},
		{Option: "insecure-api", Source: "flag --insecure-api", Value: "perhaps", Message: "is neither true nor false"},
		{Option: "drain-timeout", Source: "environment variable EVENKEEL_DRAIN_TIMEOUT", Value: "10", Message: "is not a time span from 10ms to 1h0m0s; write one such as 10s or 1m30s"},
		{Option: "secret-file", Source: "environment variable EVENKEEL_SECRET_FILE", Value: "/does/not/exist", Message: "cannot be read: no such file or directory"},
	}
	var faults config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("error %v is no list of faults", err)
	}
	if diff := cmp.Diff(want, []config.Fault(faults)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if lines := strings.Count(err.Error(), "\n"); lines != len(want) {
		t.Errorf("the message has %d lines after the first; want %d:\n%v", lines, len(want), err)
	}
}

func TestFaults(t *testing.T) {
	long := secret.New()
	secretFile := write(t, "secret", long)
	certFile, keyFile := writeCertificate(t)
	_, otherKey := writeCertificate(t)
	tests := map[string]struct {
		args, env []string
		want      string // a part of the message
	}{
		"an API beyond loopback needs a token":            {[]string{"--api-addr=:7070"}, nil, "api-addr \":7070\" (flag --api-addr): is open to other machines, where callers need a token"},
		"an authority follows from a secret":              {[]string{"--api-tls=cluster"}, nil, "api-tls \"cluster\" (flag --api-tls): asks for a certificate from the cluster's authority, which follows from the cluster's secret"},
		"there is one authority":                          {[]string{"--api-tls=acme"}, nil, "api-tls \"acme\" (flag --api-tls): is none of cluster"},
		"one certificate is enough":                       {[]string{"--api-tls=cluster", "--api-tls-cert=x"}, []string{"EVENKEEL_SECRET=" + long}, "but one of your own is given"},
		"a certificate needs its key":                     {[]string{"--api-tls-cert", certFile}, nil, "is of no use without its key; give that with --api-tls-key"},
		"a key needs its certificate":                     {nil, []string{"EVENKEEL_API_TLS_KEY=" + keyFile}, "(environment variable EVENKEEL_API_TLS_KEY): is of no use without its certificate"},
		"a certificate that is not there":                 {[]string{"--api-tls-cert=/nope", "--api-tls-key", keyFile}, nil, "api-tls-cert \"/nope\" (flag --api-tls-cert): cannot be read: no such file"},
		"a key that is not there":                         {[]string{"--api-tls-cert", certFile, "--api-tls-key=/nope"}, nil, "api-tls-key \"/nope\" (flag --api-tls-key): cannot be read: no such file"},
		"a key of another certificate":                    {[]string{"--api-tls-cert", certFile, "--api-tls-key", otherKey}, nil, "make no certificate that can be served: private key does not match public key"},
		"a certificate that is none":                      {[]string{"--api-tls-cert", secretFile, "--api-tls-key", keyFile}, nil, "make no certificate that can be served: failed to find any PEM data"},
		"a token and an insecure API contradict":          {[]string{"--insecure-api"}, []string{"EVENKEEL_ADMIN_TOKEN=0123456789abcdef"}, "insecure-api \"true\" (flag --insecure-api): asks for"},
		"a cluster port beyond loopback needs a secret":   {[]string{"--cluster-addr=0.0.0.0:7071"}, nil, "cluster-addr \"0.0.0.0:7071\" (flag --cluster-addr): is open to other machines"},
		"joining another machine needs a secret":          {[]string{"--join=127.0.0.1,10.0.0.1"}, nil, "10.0.0.1:7071 is on another machine"},
		"a secret comes from one variable":                {nil, []string{"EVENKEEL_SECRET=" + long, "EVENKEEL_SECRET_FILE=" + secretFile}, "EVENKEEL_SECRET is set too"},
		"a short secret is refused":                       {nil, []string{"EVENKEEL_SECRET=short"}, "secret (environment variable EVENKEEL_SECRET): "},
		"a token must be one":                             {nil, []string{"EVENKEEL_ADMIN_TOKEN=two words"}, "is not a bearer token"},
		"an empty token file is no token":                 {[]string{"--admin-token-file", write(t, "token", "\n")}, nil, "is an empty file"},
		"a missing config file is a fault":                {[]string{"--config=/does/not/exist"}, nil, "config \"/does/not/exist\" (flag --config): cannot be read: no such file"},
		"a file that is a list is a fault":                {[]string{"--config", write(t, "c", "- a\n")}, nil, "c:1): is not a mapping"},
		"a file that is not YAML is named with its line":  {[]string{"--config", write(t, "c", "name: a\njoin: [\n")}, nil, "c:2): is not YAML"},
		"a key given twice is a fault":                    {[]string{"--config", write(t, "c", "name: a\nname: b\n")}, nil, "c:2)"},
		"an underscore in a key gets a hint":              {[]string{"--config", write(t, "c", "data_dir: a\n")}, nil, `did you mean "data-dir"`},
		"a listener twice is a fault":                     {[]string{"--listener-addr=a=:1", "--listener-addr=a=:2"}, nil, `listener "a" is given twice`},
		"a port out of range is a fault":                  {[]string{"--listener-addr=a=:70000"}, nil, "has a port that is not a number from 0 to 65535"},
		"an advertised address must be reachable":         {[]string{"--advertise=0.0.0.0"}, nil, "is no address that others can reach"},
		"an advertised port must be one":                  {[]string{"--advertise=n1:x"}, nil, "is not HOST or HOST:PORT"},
		"bind takes no port":                              {[]string{"--bind=127.0.0.1:80"}, nil, "is not a host"},
		"a join address must be one":                      {[]string{"--join=http://n1:7071"}, nil, "is not HOST or HOST:PORT"},
		"an empty flag is a fault":                        {[]string{"--name="}, nil, "name (flag --name): is empty"},
		"a level is one of four":                          {[]string{"--log-level=loud"}, nil, "is none of debug, info, warn, error"},
		"a profile is one of three":                       {nil, []string{"EVENKEEL_PROFILE=quick"}, "is none of default, safe, fast"},
		"fewer loops than none are refused":               {[]string{"--loops=-1"}, nil, `loops "-1" (flag --loops): is not a whole number from 0 to 256`},
		"more loops than 256 are refused":                 {nil, []string{"EVENKEEL_LOOPS=257"}, "is not a whole number from 0 to 256; give the number of event loops, or 0 for one per core"},
		"a niceness below 0 is refused":                   {[]string{"--background-nice=-1"}, nil, `background-nice "-1" (flag --background-nice): is not a whole number from 0 to 19; give by how much traffic goes first, or 0 if it is not to`},
		"a niceness above 19 is refused":                  {nil, []string{"EVENKEEL_BACKGROUND_NICE=20"}, "is not a whole number from 0 to 19"},
		"loops are a number":                              {[]string{"--loops", "all"}, nil, "is not a whole number from 0 to 256"},
		"a zone is a DNS label":                           {nil, []string{"EVENKEEL_ZONE=Rack 1"}, `zone "Rack 1" (environment variable EVENKEEL_ZONE): is not a DNS label`},
		"no nodes form no cluster":                        {nil, []string{"EVENKEEL_BOOTSTRAP_EXPECT=0"}, "whole number from 1"},
		"a witness takes no traffic":                      {[]string{"--witness", "--join=n1", "--listener-addr=a=:1"}, []string{"EVENKEEL_SECRET=" + long}, `listener-addr "a=:1" (flag --listener-addr): means nothing to a witness`},
		"a witness drains nothing":                        {[]string{"--witness", "--join=n1"}, []string{"EVENKEEL_SECRET=" + long, "EVENKEEL_DRAIN_TIMEOUT=5s"}, `(environment variable EVENKEEL_DRAIN_TIMEOUT): means nothing to a witness`},
		"a witness alone is for nothing":                  {[]string{"--witness"}, nil, `witness "true" (flag --witness): is for a node with others`},
		"a witness alone expects nobody":                  {[]string{"--witness", "--bootstrap-expect=1"}, nil, "name them with --join"},
		"a witness is one or not":                         {[]string{"--witness=maybe"}, nil, `witness "maybe" (flag --witness): is neither true nor false`},
		"a restart is no death":                           {[]string{"--remove-dead-after=59s"}, nil, `remove-dead-after "59s" (flag --remove-dead-after): is not a time span of 1m or more; write one such as 72h or 90m, or never`},
		"no time runs backwards":                          {[]string{"--remove-dead-after=-72h"}, nil, "is not a time span of 1m or more"},
		"a day is no unit":                                {nil, []string{"EVENKEEL_REMOVE_DEAD_AFTER=3d"}, "is not a time span of 1m or more"},
		"an endless drain is refused":                     {nil, []string{"EVENKEEL_DRAIN_TIMEOUT=2h"}, "time span from 10ms to 1h"},
		"a mapping where a value belongs is a fault":      {[]string{"--config", write(t, "c", "name:\n  a: b\n")}, nil, "c:1): is a mapping"},
		"an alias is not a plain value":                   {[]string{"--config", write(t, "c", "name: &a x\nbind: *a\n")}, nil, "give a plain value"},
		"a nested list is not a plain value":              {[]string{"--config", write(t, "c", "join: [[a]]\n")}, nil, "give a plain value"},
		"a token in the file is sent elsewhere":           {[]string{"--config", write(t, "c", "admin-token: x\n")}, nil, "name that with admin-token-file"},
		"a secret file of the environment, with the flag": {[]string{"--secret-file=/nope"}, []string{"EVENKEEL_SECRET=" + long}, "/nope"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.args, test.env)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; want one with %q", err, test.want)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const hidden = "xyzzy-plugh-xyzzy-plugh"
	tests := map[string][]string{
		"a faulty secret":       {"EVENKEEL_SECRET=evenkeel-" + hidden},
		"a short secret":        {"EVENKEEL_SECRET=" + hidden},
		"a faulty token":        {"EVENKEEL_ADMIN_TOKEN=" + hidden + " and more"},
		"a secret given twice":  {"EVENKEEL_SECRET=" + hidden, "EVENKEEL_SECRET_FILE=x"},
		"a file that is broken": {"EVENKEEL_CONFIG=" + write(t, "c", "secret: ["+hidden+"\n")},
		"a block that is none":  {"EVENKEEL_CONFIG=" + write(t, "c", "name: |"+hidden+"\n")},
		"a secret in the file":  {"EVENKEEL_CONFIG=" + write(t, "c", "secret: "+hidden+"\n")},
	}
	for name, env := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, nil, env); err == nil || strings.Contains(err.Error(), hidden) {
				t.Errorf("error %v; want one without the secret", err)
			}
		})
	}
	text := secret.New()
	c := mustLoad(t, nil, []string{"EVENKEEL_SECRET=" + text, "EVENKEEL_ADMIN_TOKEN=" + hidden})
	if string(c.AdminToken) != hidden {
		t.Errorf("the token itself is lost")
	}
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", c, "token", c.AdminToken)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", c, "token", c.AdminToken)
	fmt.Fprintf(&out, "%v %+v %#v %s", c, *c, *c, c.AdminToken)
	if strings.Contains(out.String(), hidden) || strings.Contains(out.String(), text) {
		t.Errorf("a secret is shown in %s", out.String())
	}
}

func TestWarnings(t *testing.T) {
	open := write(t, "secret", secret.New())
	certFile, keyFile := writeCertificate(t)
	for _, file := range []string{open, keyFile} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		args, env []string
		want      string
	}{
		"a secret that everyone can read": {[]string{"--secret-file", open}, nil, "can be read by every user"},
		"a key that everyone can read":    {[]string{"--api-tls-cert", certFile, "--api-tls-key", keyFile}, nil, "api-tls-key \"" + keyFile + "\" can be read by every user"},
		"a variable that is misspelt":     {nil, []string{"EVENKEEL_NAMES=x"}, "did you mean EVENKEEL_NAME?"},
		"a variable of Kubernetes":        {nil, []string{"EVENKEEL_SERVICE_PORT_HTTP=7070"}, "EVENKEEL_SERVICE_PORT_HTTP is unknown and ignored"},
		"a token that can be guessed":     {nil, []string{"EVENKEEL_ADMIN_TOKEN=letmein"}, "has 7 characters"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := mustLoad(t, test.args, test.env)
			if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], test.want) {
				t.Errorf("warnings %q; want one with %q", c.Warnings, test.want)
			}
		})
	}
	known := mustLoad(t, nil, []string{"EVENKEEL_API=x", "EVENKEEL_API_CA=w", "EVENKEEL_TOKEN=y", "EVENKEEL_TOKEN_FILE=z", "OTHER=1"})
	if len(known.Warnings) != 0 {
		t.Errorf("variables of the client are warned about: %q", known.Warnings)
	}
}
