// Command bench holds the three Go parts of the benchmark, standard library only:
//
//	bench proxy    -listen ADDR -upstream URL            httputil.ReverseProxy, one of the two limits
//	bench events   -listen ADDR -events N -interval D    an upstream that streams chat completions
//	bench streams  -url URL -connections N -seconds S    a client that measures the delay of each event
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bench proxy|events|streams [flags]")
		os.Exit(2)
	}
	parts := map[string]func([]string){"proxy": proxy, "events": events, "streams": streams}
	part, known := parts[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "no such part:", os.Args[1])
		os.Exit(2)
	}
	part(os.Args[2:])
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
