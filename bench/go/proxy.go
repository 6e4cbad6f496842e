package main

import (
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// proxy forwards everything to one upstream and accounts nothing.
func proxy(arguments []string) {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	upstream := flags.String("upstream", "", "URL to forward to")
	flags.Parse(arguments)

	target, err := url.Parse(*upstream)
	if err != nil {
		fail(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.FlushInterval = -1
	forward.Transport = &http.Transport{
		MaxIdleConns:        1000,
		MaxIdleConnsPerHost: 1000,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	fail(http.ListenAndServe(*listen, forward))
}
