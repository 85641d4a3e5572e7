package main

// The names of the programs.
const (
	nameEvenkeel = "evenkeel"
	nameHAProxy  = "haproxy"
	nameSplice   = "haproxy-splice"      // for large bodies: whenever it can
	nameAuto     = "haproxy-splice-auto" // the same, when it thinks it pays
	nameNginx    = "nginx"
	nameCaddy    = "caddy"
)
