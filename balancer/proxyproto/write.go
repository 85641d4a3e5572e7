package proxyproto

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Version is a version of the protocol.
type Version byte

// The versions. The zero Version is none.
const (
	V1 Version = 1
	V2 Version = 2
)

// Append appends the header that names the ends. Where one is IPv4 and the other
// is not, both are written as IPv6. Without a source nobody is named: UNKNOWN of
// version 1, LOCAL of version 2. It fails for any other version.
func Append(dst []byte, version Version, ends Header) ([]byte, error) {
	header := proxyproto.Header{
		Version: byte(version), Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC,
	}
	if ends.Source.IsValid() && ends.Destination.IsValid() {
		header.Command, header.TransportProtocol = proxyproto.PROXY, proxyproto.TCPv6
		if ends.Source.Addr().Unmap().Is4() && ends.Destination.Addr().Unmap().Is4() {
			header.TransportProtocol = proxyproto.TCPv4
		}
		header.SourceAddr, header.DestinationAddr = tcpAddr(ends.Source), tcpAddr(ends.Destination)
	}
	text, err := header.Format()
	if err != nil {
		return dst, fmt.Errorf("write PROXY header of version %d: %w", version, err)
	}
	return append(dst, text...), nil
}

func tcpAddr(a netip.AddrPort) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()))
}
