package httpapi_test

import (
	"testing"

	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func TestNamesMadeFromAddressesAreReadable(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.5:9000":        "10-0-0-5-9000",
		"[2001:db8::1]:80":     "2001-db8-1-80",
		"[::1]:80":             "1-80",
		"Web_1.Internal.:8080": "web-1-internal-8080",
		"no-port":              "",
		"":                     "",
		"[::]:80":              "",
		"[fe80::1%eth0]:80":    "fe80-1-eth0-80",
		"a23456789012345678901234567890123456789012345678901234567890.example:65535": "a23456789012345678901234567890123456789012345678901234567-65535",
	} {
		if got := httpapi.AddressName(address); got != want {
			t.Errorf("the name of %q is %q, want %q", address, got, want)
		}
	}
}

func FuzzNamesMadeFromAddressesAreLabels(f *testing.F) {
	f.Add("10.0.0.5:9000")
	f.Add("[::1]:1")
	f.Add("ä.-:80")
	f.Fuzz(func(t *testing.T, address string) {
		name := httpapi.AddressName(address)
		if name == "" {
			return
		}
		fsm.CheckName(name, "/name", func(_, format string, args ...any) { t.Errorf(format, args...) })
	})
}
