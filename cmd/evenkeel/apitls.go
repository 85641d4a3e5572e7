package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/config"
	"evenkeel/httpapi"
)

// overTLS returns the API's listener as the options want it, and what keeps its
// certificate new until its context ends.
func overTLS(options *config.Config, node *cluster.Node, plain net.Listener, log *slog.Logger) (net.Listener, func(context.Context) error, error) {
	switch {
	case options.APITLS == config.APITLSCluster:
		issued := &httpapi.IssuedCertificate{
			Issue: func(hosts []string, now time.Time) (*tls.Certificate, error) {
				return options.Secrets.WebCertificate(options.Name, hosts, now)
			},
			Hosts: func() []string { return apiHosts(options, node) },
		}
		return httpapi.TLSListener(plain, issued.Certificate), untilDone, nil
	case options.APITLSCert != "":
		files, err := httpapi.OpenCertificate(options.APITLSCert, options.APITLSKey, log)
		if err != nil {
			return nil, nil, err
		}
		return httpapi.TLSListener(plain, files.Certificate), files.Run, nil
	}
	return plain, untilDone, nil
}

// apiHosts are the names and addresses under which the others know the node.
func apiHosts(options *config.Config, node *cluster.Node) []string {
	hosts := []string{options.Name}
	addresses := []string{options.Advertise, options.APIAddr}
	for _, member := range node.Members() {
		if member.UID == node.UID() {
			addresses = append(addresses, member.ClusterAddr)
		}
	}
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address // --advertise takes a host alone
		}
		if !isUnspecified(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// untilDone is a part of the node that has nothing to do.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
