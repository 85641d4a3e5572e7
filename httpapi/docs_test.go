package httpapi_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// docsCall is one call of curl in a block of docs/api.md, with the status that it
// says behind it.
var docsCall = regexp.MustCompile(`(?ms)^(curl .*?)\s+# (\d{3})$`)

func TestTheCallsOfTheDocumentationAreAnsweredAsItSays(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl here")
	}
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	api := newClient(t)
	server := httptest.NewServer(api.handler)
	defer server.Close()
	calls := 0
	for i, block := range strings.Split(string(text), "```") {
		if i%2 == 0 {
			continue
		}
		for _, call := range docsCall.FindAllStringSubmatch(strings.TrimPrefix(block, "sh\n"), -1) {
			calls++
			command := exec.CommandContext(t.Context(), "sh", "-c", "curl() { command curl -s -o /dev/null -w '%{http_code}' \"$@\"; }\n"+call[1])
			command.Env = append(os.Environ(), "API="+server.URL)
			got, err := command.CombinedOutput()
			if err != nil || string(got) != call[2] {
				t.Errorf("it says %s and is %s (%v): %s", call[2], got, err, call[1])
			}
		}
	}
	if calls < 20 {
		t.Errorf("only %d calls were found", calls)
	}
}
