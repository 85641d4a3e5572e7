package main

import (
	"net"
	"testing"

	"evenkeel/cmd/evenkeel/config"
)

func TestAPIAddressThatOthersAreShown(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv6unspecified, Port: 7170}
	tests := map[string]struct {
		options config.Config
		want    string
	}{
		"its own host counts":              {config.Config{APIAddr: "10.0.0.1:0"}, "10.0.0.1:7170"},
		"all hosts are none in particular": {config.Config{APIAddr: "0.0.0.0:0"}, ":7170"},
		"of either family":                 {config.Config{APIAddr: "[::]:0"}, ":7170"},
		"no host is none":                  {config.Config{APIAddr: ":0"}, ":7170"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := apiAddress(&test.options, bound); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
