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
		"its own host counts":                    {config.Config{APIAddr: "10.0.0.1:0", Advertise: "10.0.0.2"}, "10.0.0.1:7170"},
		"then the advertised one":                {config.Config{APIAddr: ":0", Advertise: "n1", ClusterAddr: "10.0.0.3:1"}, "n1:7170"},
		"of which the port is another's":         {config.Config{APIAddr: "0.0.0.0:0", Advertise: "n1:7071"}, "n1:7170"},
		"then the cluster port's":                {config.Config{APIAddr: "[::]:0", ClusterAddr: "10.0.0.3:1"}, "10.0.0.3:7170"},
		"else the port alone says what is known": {config.Config{APIAddr: ":0", ClusterAddr: ":7071"}, ":7170"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := apiAddress(&test.options, bound); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
