// Interop is grpc-go's interop server, or its client that runs the cases which need
// no cloud. It is built from their library: the programs that grpc-go itself makes of
// it know all clouds too, and take minutes to build.
//
//	interop --serve 127.0.0.1:10000 [--chain FILE --key FILE]
//	interop --call 127.0.0.1:10000 [--ca FILE --name NAME] [--runs N]
//
// The client runs each case on a connection of its own, and exits with 1 at the
// first that fails, whose name is the last on its standard output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

// caseLimit is how long one case may take.
const caseLimit = time.Minute

// reporting makes a connection look at the reports that the last case is about.
const reporting = `{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}`

// testCase is one of the interop client's.
type testCase struct {
	name string
	run  func(context.Context, *grpc.ClientConn)
}

// cases are all that need no cloud, but for two: pick_first_unary asks for an id that
// this server does not give, and orca_oob for reports more often than it makes them.
var cases = []testCase{
	{"empty_unary", unary(interop.DoEmptyUnaryCall)},
	{"large_unary", unary(interop.DoLargeUnaryCall)},
	{"client_streaming", unary(interop.DoClientStreaming)},
	{"server_streaming", unary(interop.DoServerStreaming)},
	{"ping_pong", unary(interop.DoPingPong)},
	{"empty_stream", unary(interop.DoEmptyStream)},
	{"timeout_on_sleeping_server", unary(interop.DoTimeoutOnSleepingServer)},
	{"cancel_after_begin", unary(interop.DoCancelAfterBegin)},
	{"cancel_after_first_response", unary(interop.DoCancelAfterFirstResponse)},
	{"status_code_and_message", unary(interop.DoStatusCodeAndMessage)},
	{"special_status_message", unary(interop.DoSpecialStatusMessage)},
	{"custom_metadata", unary(interop.DoCustomMetadata)},
	{"unimplemented_method", func(ctx context.Context, conn *grpc.ClientConn) { interop.DoUnimplementedMethod(ctx, conn) }},
	{"unimplemented_service", func(ctx context.Context, conn *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	}},
	{"orca_per_rpc", func(ctx context.Context, conn *grpc.ClientConn) {
		interop.DoORCAPerRPCTest(ctx, testgrpc.NewTestServiceClient(conn))
	}},
}

// unary has a function of the library take a connection.
func unary(do func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
	return func(ctx context.Context, conn *grpc.ClientConn) { do(ctx, testgrpc.NewTestServiceClient(conn)) }
}

func main() {
	var (
		serveAt  = flag.String("serve", "", "serve at this address, HOST:PORT")
		chain    = flag.String("chain", "", "over TLS with the certificate in this file, PEM")
		key      = flag.String("key", "", "and the key in this one")
		callAt   = flag.String("call", "", "run all cases against a server at this address, HOST:PORT")
		ca       = flag.String("ca", "", "over TLS, with the authority whose certificate is in this file, PEM")
		name     = flag.String("name", "", "and a server of this name")
		runsEach = flag.Int("runs", 1, "how often")
	)
	flag.Parse()
	var err error
	switch {
	case (*serveAt == "") == (*callAt == ""):
		err = errors.New("give one of --serve and --call")
	case *serveAt != "":
		err = serve(*serveAt, *chain, *key)
	default:
		err = call(*callAt, *ca, *name, *runsEach)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address, chain, key string) error {
	options := []grpc.ServerOption{orca.CallMetricsServerOption(nil)}
	if chain != "" {
		creds, err := credentials.NewServerTLSFromFile(chain, key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(creds))
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	return server.Serve(listener)
}

// call runs every case. The library ends the process when one fails.
func call(address, ca, name string, runs int) error {
	creds := insecure.NewCredentials()
	if ca != "" {
		var err error
		if creds, err = credentials.NewClientTLSFromFile(ca, name); err != nil {
			return err
		}
	}
	for range runs {
		for _, c := range cases {
			fmt.Println(c.name)
			if err := c.once(address, creds); err != nil {
				return err
			}
		}
	}
	fmt.Printf("all %d cases passed %d times\n", len(cases), runs)
	return nil
}

func (c testCase) once(address string, creds credentials.TransportCredentials) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds), grpc.WithDefaultServiceConfig(c.service()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	defer cancel()
	c.run(ctx, conn)
	return nil
}

func (c testCase) service() string {
	if c.name == "orca_per_rpc" {
		return reporting
	}
	return "{}"
}
